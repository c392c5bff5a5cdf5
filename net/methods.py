"""The methods of pre-training. Each is declared once: its title, model, loss and settings.

The flags of pretrain.py, the curves, t-SNE, the report and the tables read this file. A new method
is a model, a loss, and an entry in METHODS. A new encoder is a class and an entry in ENCODERS. Each
method can train each encoder. docs/extend.md has an example of both.

An encoder is built from (hidden_size, num_head, num_layer, layout). It has the attributes `layout`
and `feature_size`, the width F of a feature. Its `forward` takes several views, each
{modality: Tokens} of B clips, and returns the features (sum of all B, F), the views one after
another. An encoder with batch norm decides in `forward` whether the views share their statistics,
and uses `net.batch_norm.SyncBatchNorm1d` for the statistics of all GPUs. An encoder is in train
mode while it is trained, else in eval mode.

A model is built from (hidden_size, num_head, num_layer, projector_width, layout, encoder), where
`encoder` is the class of the encoder; `net.projectors.EncoderWithProjectors` does this. Its
`forward` takes the augmented views (views, B, T, M, V, C) and returns tensors. The axis before the
last is that of the clips, as in (3, B, D) or (B, D). The last tensor is the encoder's feature
(B, F).

A loss takes the model's outputs, in their order, and the record of its settings. It returns scalars
{"total": ..., term: ...}. The outputs hold the clips of all GPUs; a gradient goes back to the GPU
that computed the output. So a term has the same scale on any number of GPUs. If a model computes a
term for each clip, the term is an output (B, 1) and the loss takes its mean. A loss that has a
parameter `ranks` (net.ranks.Ranks) shares the work instead: it gets the outputs of this GPU's clips
and returns this GPU's share of each scalar, see net.losses.

This file does not import torch, so that `--help` is fast.
"""

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from net import MODALITIES


def _weight(default: float, of: str) -> Any:
    return field(default=default, metadata={"group": "loss", "help": f"weight of {of}"})


# ---- settings of the losses


@dataclass(frozen=True)
class BaselineSettings:
    """Weights of the simple baseline's loss; a term with weight 0 is left out."""

    invariance_weight: float = _weight(5.0, "the distance between two views of a clip")
    variance_weight: float = _weight(5.0, "the variance term, of each output")
    covariance_weight: float = _weight(1.0, "the covariance term, of each output")


@dataclass(frozen=True)
class UmURLSettings:
    """Weights of UmURL's loss (Sun et al. 2023, section 3.4); a term with weight 0 is left out."""

    intra_weight: float = _weight(5.0, "the distance between unimodal and fused features")
    inter_weight: float = _weight(5.0, "the distance between modalities")
    variance_weight: float = _weight(5.0, "the variance term, of each output")
    covariance_weight: float = _weight(1.0, "the covariance term, of each output")


@dataclass(frozen=True)
class HalvesSettings(UmURLSettings):
    """Weights of UmURL's loss, on whole features and on halves, and weights of the two halves."""

    temporal_weight: float = _weight(0.5, "UmURL's loss on the features' temporal half")
    spatial_weight: float = _weight(0.5, "UmURL's loss on the features' spatial half")


@dataclass(frozen=True)
class PairSettings(UmURLSettings):
    """Weights of UmURL's loss, and of the distance between two fused views."""

    invariance_weight: float = _weight(5.0, "the distance between two views of a clip")


# ---- encoders

ENCODERS = {  # {name: where the class is, as `module:name`}
    "transformer": "net.encoder:Encoder",
    "spatial_positions": "net.encoder:SpatialPositionsEncoder",
}
DEFAULT_ENCODER = "transformer"  # also that of a checkpoint that names no encoder


def load_encoder_class(name: str) -> type:
    """The class of an encoder. Raises KeyError for a name that is not in ENCODERS."""
    return pkgutil.resolve_name(ENCODERS[name])


# ---- methods


@dataclass(frozen=True)
class Method:
    """One way to pre-train.

    title: the name that readers see
    model, loss: where the class and the function are, as `module:name`
    settings: the record of the loss's settings; each field is a flag of pretrain.py
    terms: {term of the loss: title of its curve}
    views: how many augmented views of a clip the model takes
    modalities: the modalities that the encoder learns to encode; evaluation uses the same
    """

    title: str
    model: str
    loss: str
    settings: type
    terms: dict[str, str]
    views: int = 4
    modalities: tuple[str, ...] = MODALITIES

    def load_model(self) -> Callable[..., Any]:
        """The class of the model."""
        return pkgutil.resolve_name(self.model)

    def load_loss(self) -> Callable[..., dict[str, Any]]:
        """The function that computes the loss."""
        return pkgutil.resolve_name(self.loss)


_BASELINE = {"invariance": "Loss: between views"}
_REGULARIZER = {"variance": "Loss: variance", "covariance": "Loss: covariance"}
_UMURL = {
    "intra": "Loss: unimodal against fused feature",
    "inter": "Loss: between modalities",
    **_REGULARIZER,
}
METHODS = {
    "umurl": Method(
        title="UmURL",
        model="net.umurl:UmURL",
        loss="net.losses:umurl_loss",
        settings=UmURLSettings,
        terms=_UMURL,
    ),
    "umurl_pair": Method(
        title="UmURL, two fused views",
        model="net.umurl:UmURLPair",
        loss="net.losses:pair_loss",
        settings=PairSettings,
        terms={**_UMURL, "invariance": "Loss: between views"},
        views=5,
    ),
    "umurl_halves": Method(
        title="UmURL on halves",
        model="net.umurl:UmURLHalves",
        loss="net.losses:halves_loss",
        settings=HalvesSettings,
        terms={
            **_UMURL,
            "temporal": "Loss: temporal half",
            "spatial": "Loss: spatial half",
        },
    ),
    "baseline": Method(
        title="simple baseline",
        model="net.baseline:Baseline",
        loss="net.losses:baseline_loss",
        settings=BaselineSettings,
        terms=_BASELINE | _REGULARIZER,
    ),
    **{
        name: Method(
            title=f"{name} alone",
            model=f"net.baseline:{name.capitalize()}Alone",
            loss="net.losses:baseline_loss",
            settings=BaselineSettings,
            terms=_BASELINE | _REGULARIZER,
            views=2,
            modalities=(name,),
        )
        for name in MODALITIES
    },
}
DEFAULT = "umurl"  # also that of a checkpoint that names no method


def title(name: str | None) -> str:
    """The title of a method: that of DEFAULT for None, the name itself for an unknown name."""
    method = METHODS.get(name or DEFAULT)
    return method.title if method else str(name)


def curve_titles() -> dict[str, str]:
    """{TensorBoard tag: title of the curve} of the losses of all methods."""
    terms = {term: text for method in METHODS.values() for term, text in method.terms.items()}
    return {"loss/total": "Loss"} | {f"loss/{term}": text for term, text in terms.items()}
