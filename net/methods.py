"""The methods of pre-training, for --method: which model, which loss. The encoders, for --encoder.

A new method is a model, a loss and an entry in METHODS; the loss's keyword arguments become flags.
A new encoder is a class and an entry in ENCODERS: it is built from (hidden_size, num_head,
num_layer, layout), has the attributes `layout` and `feature_size`, and its `forward` takes views,
each {modality: Tokens} of B clips, to features (sum of all B, feature_size). docs/extend.md has an
example of both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from net import MODALITIES
from net.encoder import Encoder
from net.losses import baseline_loss, pair_loss, umurl_loss
from net.umurl import Baseline, UmURL


@dataclass(frozen=True)
class Method:
    """A way to pre-train.

    title: for tables and figures
    model: built as `net.umurl.EncoderWithProjectors`; all its outputs but the last, which is
        the feature, go to the loss, gathered from all ranks along their last axis but one
    loss: function of these outputs that returns {"total": scalar, term: scalar, ...}
    views: augmented views of a clip that the model takes
    modalities: what the encoder learns to read; evaluations take the same
    base_loss: the loss to which `loss` forwards its `**weights`
    """

    title: str
    model: Callable[..., nn.Module]
    loss: Callable[..., dict[str, Tensor]]
    views: int = 4
    modalities: tuple[str, ...] = MODALITIES
    base_loss: Callable[..., dict[str, Tensor]] | None = None

    @property
    def weights(self) -> dict[str, float]:
        """{keyword argument of the loss: its default}."""
        base = self.base_loss.__kwdefaults__ if self.base_loss else {}
        return base | (self.loss.__kwdefaults__ or {})


def _alone(modality: str) -> Method:
    model = partial(Baseline, modalities=(modality,))
    return Method(f"{modality} alone", model, baseline_loss, 2, (modality,))


ENCODERS = {"transformer": Encoder}
DEFAULT_ENCODER = "transformer"  # also that of a checkpoint that names no encoder
METHODS = {
    "umurl": Method("UmURL", UmURL, umurl_loss),
    "umurl_pair": Method("UmURL, two fused views", UmURL, pair_loss, 5, base_loss=umurl_loss),
    "baseline": Method("simple baseline", Baseline, baseline_loss, views=2),
    "joint": _alone("joint"),
    "bone": _alone("bone"),
    "motion": _alone("motion"),
}
DEFAULT = "umurl"  # also that of a checkpoint that names no method


def title(name: str | None) -> str:
    """The title of a method: that of DEFAULT for None, the name itself for an unknown method."""
    method = METHODS.get(name or DEFAULT)
    return method.title if method else str(name)
