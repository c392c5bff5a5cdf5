"""The methods of pre-training, each declared once: its title, its model, its loss, its settings.

All that asks for a method reads it here: flags of pretrain.py, curves, t-SNE, report and tables. A
method of one's own is a model, a loss, and an entry in METHODS. An encoder of one's own is a class
and an entry in ENCODERS; each method trains each encoder.

An encoder is built from (hidden_size, num_head, num_layer, layout). It keeps its `layout` and tells
its `feature_size` F. Its forward takes views, each {modality: Tokens} of B clips, and returns their
features one after another, (sum of the views' B, F). Only the encoder knows whether clips meet in
it: one with batch norm chooses in its forward whether views share their statistics, and takes
`net.batch_norm.SyncBatchNorm1d` to have those of all GPUs. It is in train mode where it learns, in
eval mode where it is looked at.

A model is built from (hidden_size, num_head, num_layer, projector_width, layout, encoder), the last
the class of the encoder. Its forward takes the augmented views (VIEWS, B, T, M, V, C) and returns
tensors with the clips along the axis before the last, such as (3, B, D) or (B, D); the last of them
is the encoder's feature (B, F).

A loss takes these outputs in their order and the record of its settings, and returns the scalars
{"total": ..., term: ...}. The outputs it gets hold the clips of all ranks, and their gradients go
back to each rank's own. So a term has one scale, that of the whole batch, on any number of GPUs:
a term that a model computes for each clip is an output (B, 1), of which the loss takes the mean.

Nothing here imports torch, so that a command shows its flags at once.
"""

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


def _weight(default: float, of: str) -> Any:
    return field(default=default, metadata={"group": "loss", "help": f"weight of {of}"})


@dataclass(frozen=True)
class BaselineSettings:
    """Weights of the simple baseline's loss; 0 takes a term out."""

    invariance_weight: float = _weight(5.0, "the distance between two views of a clip")
    variance_weight: float = _weight(5.0, "the variance term, of each output")
    covariance_weight: float = _weight(1.0, "the covariance term, of each output")


@dataclass(frozen=True)
class UmURLSettings:
    """Weights of the loss of UmURL (Sun et al. 2023, section 3.4); 0 takes a term out."""

    intra_weight: float = _weight(5.0, "the distance between unimodal and fused features")
    inter_weight: float = _weight(5.0, "the distance between modalities")
    variance_weight: float = _weight(5.0, "the variance term, of each output")
    covariance_weight: float = _weight(1.0, "the covariance term, of each output")


ENCODERS = {  # where they are, `module:name`
    "transformer": "net.encoder:Encoder",
    "spatial_positions": "net.encoder:SpatialPositionsEncoder",
}
DEFAULT_ENCODER = "transformer"  # also of checkpoints that name no encoder


def load_encoder_class(name: str) -> type:
    """The class of an encoder. Raises KeyError for a name that is not declared here."""
    return pkgutil.resolve_name(ENCODERS[name])


@dataclass(frozen=True)
class HalvesSettings(UmURLSettings):
    """Those of UmURL, which hold for the halves' losses, too, and the weights of these."""

    temporal_weight: float = _weight(0.5, "UmURL's loss on the features' temporal half")
    spatial_weight: float = _weight(0.5, "UmURL's loss on the features' spatial half")


@dataclass(frozen=True)
class Method:
    """One way to pre-train.

    title: what people call it; model, loss: where they are, `module:name`; settings: the class of
    its record of settings, whose fields are flags of pretrain.py; terms: the loss's terms and the
    titles of their curves.
    """

    title: str
    model: str
    loss: str
    settings: type
    terms: dict[str, str]

    def load_model(self) -> Callable[..., Any]:
        """The class of the model."""
        return pkgutil.resolve_name(self.model)

    def load_loss(self) -> Callable[..., dict[str, Any]]:
        """The loss, a function."""
        return pkgutil.resolve_name(self.loss)


_REGULARIZER = {"variance": "Loss: variance", "covariance": "Loss: covariance"}
METHODS = {
    "umurl": Method(
        title="UmURL",
        model="net.umurl:UmURL",
        loss="net.losses:umurl_loss",
        settings=UmURLSettings,
        terms={
            "intra": "Loss: unimodal against fused feature",
            "inter": "Loss: between modalities",
            **_REGULARIZER,
        },
    ),
    "umurl_halves": Method(
        title="UmURL on halves",
        model="net.umurl:UmURLHalves",
        loss="net.losses:halves_loss",
        settings=HalvesSettings,
        terms={
            "intra": "Loss: unimodal against fused feature",
            "inter": "Loss: between modalities",
            **_REGULARIZER,
            "temporal": "Loss: temporal half",
            "spatial": "Loss: spatial half",
        },
    ),
    "baseline": Method(
        title="simple baseline",
        model="net.baseline:Baseline",
        loss="net.losses:baseline_loss",
        settings=BaselineSettings,
        terms={"invariance": "Loss: between views", **_REGULARIZER},
    ),
}
DEFAULT = "umurl"  # also of checkpoints that name no method


def title(name: str | None) -> str:
    """What people call a method; names that are not declared here (any more) stay as they are."""
    method = METHODS.get(name or DEFAULT)
    return method.title if method else str(name)


def curve_titles() -> dict[str, str]:
    """The titles of the curves of all methods' losses, by TensorBoard tag."""
    terms = {term: text for method in METHODS.values() for term, text in method.terms.items()}
    return {"loss/total": "Loss"} | {f"loss/{term}": text for term, text in terms.items()}
