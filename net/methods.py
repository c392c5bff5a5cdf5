"""The methods of pre-training, for --method: which model, which loss. The encoders, for --encoder.

A new method is a model, a loss and an entry in METHODS; the loss's keyword arguments become flags.
A new encoder is a class and an entry in ENCODERS: it is built from (hidden_size, num_head,
num_layer, layout), has the attributes `layout` and `feature_size`, and its `forward` takes views,
each {modality: Tokens} of B clips, to features (sum of all B, feature_size). docs/extend.md has an
example of both.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from net import MODALITIES
from net.encoder import Encoder
from net.losses import baseline_loss, pair_loss, umurl_loss
from net.umurl import Baseline, BoneBaseline, JointBaseline, MotionBaseline, UmURL


@dataclass(frozen=True)
class Method:
    """A way to pre-train.

    title: for tables and figures
    model: class, built as `net.umurl.EncoderWithProjectors`; all its outputs but the last, which is
        the feature, go to the loss, gathered from all ranks along their last axis but one
    loss: function of these outputs that returns {"total": scalar, term: scalar, ...}
    views: augmented views of a clip that the model takes
    modalities: what the encoder learns to read; evaluations take the same
    """

    title: str
    model: type[nn.Module]
    loss: Callable[..., dict[str, Tensor]]
    views: int = 4
    modalities: tuple[str, ...] = MODALITIES

    @property
    def weights(self) -> dict[str, float]:
        """{keyword argument of the loss: its default}."""
        return dict(self.loss.__kwdefaults__ or {})


ENCODERS = {"transformer": Encoder}
DEFAULT_ENCODER = "transformer"  # also that of a checkpoint that names no encoder
METHODS = {
    "umurl": Method("UmURL", UmURL, umurl_loss),
    "umurl_pair": Method("UmURL, two fused views", UmURL, pair_loss, views=5),
    "baseline": Method("simple baseline", Baseline, baseline_loss, views=2),
    "joint": Method("joint alone", JointBaseline, baseline_loss, 2, ("joint",)),
    "bone": Method("bone alone", BoneBaseline, baseline_loss, 2, ("bone",)),
    "motion": Method("motion alone", MotionBaseline, baseline_loss, 2, ("motion",)),
}
DEFAULT = "umurl"  # also that of a checkpoint that names no method


def title(name: str | None) -> str:
    """The title of a method: that of DEFAULT for None, the name itself for an unknown method."""
    method = METHODS.get(name or DEFAULT)
    return method.title if method else str(name)


def curve_titles() -> dict[str, str]:
    """{TensorBoard tag: title} of the losses."""
    return {
        "loss/total": "Loss",
        "loss/intra": "Loss: unimodal against fused feature",
        "loss/inter": "Loss: between modalities",
        "loss/invariance": "Loss: between views",
        "loss/variance": "Loss: variance",
        "loss/covariance": "Loss: covariance",
    }
