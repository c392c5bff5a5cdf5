"""Convert the published UmURL checkpoints, {'epoch', 'state_dict', 'optimizer'}, to ours and back:
the same entries, bit by bit and in the same order.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from common import UserError
from net.encoder import MAX_POSITIONS, sinusoid
from net.modalities import MODALITIES
from net.umurl import UmURL
from tools.training.checkpoint import load_weights, read_torch

PREFIX = "module."  # published models were saved in DistributedDataParallel
_POSITIONS = "backbone.ma_encoder.pe.pe"  # (1, 200, H); our code computes it and does not save it
SIZES = ("hidden_size", "num_head", "num_layer", "projector_width")
_STREAMS = ("temporal", "spatial")
# How names begin: (published, ours), in the order of the published model.
_BEGINNINGS = [
    *(
        (f"backbone.{m[0]}_emb.{s[0]}_embedding.", f"encoder.{s}.embeddings.{m}.")
        for m in MODALITIES
        for s in _STREAMS
    ),
    *((f"backbone.mm_fusion.{s[0]}_fusion.0.", f"encoder.{s}.fusion.") for s in _STREAMS),
    *((f"backbone.ma_encoder.{s[0]}_tr.", f"encoder.{s}.transformer.") for s in _STREAMS),
    *((f"{m[0]}_projector.", f"projectors.{m}.") for m in MODALITIES),
]


def our_name(name: str) -> str:
    """Our name of a weight, given its published name. Raises KeyError if there is none."""
    for theirs, ours in _BEGINNINGS:
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    raise KeyError(name)


def from_published(path: Path, num_head: int, settings: dict[str, str]) -> dict[str, Any]:
    """Read a published checkpoint as one of ours, as `checkpoint.save` takes it; no code runs.

    settings: `data_root`, `pre_dataset` and `protocol`, which the file does not tell
    The result's part `published` has what only published files hold. Raises UserError.
    """
    saved = read_torch(path)
    for name, kind in {"epoch": int, "state_dict": dict, "optimizer": dict}.items():
        if not isinstance(saved, dict) or not isinstance(saved.get(name), kind):
            raise UserError(f"{path} is no published checkpoint: it has no {name!r}")
    state = saved["state_dict"]
    prefix = PREFIX if all(name.startswith(PREFIX) for name in state) else ""
    state = {name.removeprefix(prefix): weight for name, weight in state.items()}
    positions = state.pop(_POSITIONS, None)
    try:
        weights = {our_name(name): weight.contiguous() for name, weight in state.items()}
        width = len(weights["encoder.temporal.fusion.weight"])
        sizes = {
            "hidden_size": width,
            "num_head": num_head,
            "num_layer": sum("temporal.transformer" in k and "norm1.weight" in k for k in weights),
            "projector_width": len(weights["projectors.joint.6.weight"]),
        }
    except KeyError as error:
        raise UserError(f"{path}: the weight {error} is unknown or missing") from None
    if num_head < 1 or width % num_head:
        raise UserError(f"--num-head {num_head} does not divide the width {width} of {path}")
    with torch.device("meta"):
        model = UmURL(**sizes)
    load_weights(model, weights, path, assign=True)
    # The last digits depend on the machine.
    if positions is not None and not positions.allclose(_positions(width), atol=1e-4):
        raise UserError(f"{path}: {_POSITIONS} is not the sinusoidal position encoding")
    ours = list(model.state_dict())
    return {
        "epoch": saved["epoch"],
        "step": 0,
        "data": {},
        "metrics": {},
        "scaler": {},
        "settings": settings | {"method": "umurl", "epochs": saved["epoch"]} | sizes,
        "model": {name: weights[name] for name in ours},
        "optimizer": _renumber(saved["optimizer"], list(weights), ours, path),
        "published": {"prefix": prefix, "positions": positions},
    }


def to_published(saved: dict[str, Any], path: Path) -> dict[str, Any]:
    """Convert one of our checkpoints, as `checkpoint.load` returns it, to the published format.
    Raises UserError, which names `path`, if the run is not of UmURL.
    """
    weights = saved["model"]
    sizes = {name: saved["settings"][name] for name in SIZES}
    with torch.device("meta"):
        load_weights(UmURL(**sizes), weights, path, assign=True)
    default = {"prefix": PREFIX, "positions": _positions(sizes["hidden_size"])}
    extra = saved.get("published", default)
    names = {  # published -> ours, in the published order
        theirs + name.removeprefix(ours): name
        for theirs, ours in _BEGINNINGS
        for name in weights
        if name.startswith(ours)
    }
    state: dict[str, Tensor] = {}
    for theirs, ours in names.items():
        if theirs.startswith("backbone.ma_encoder.") and extra["positions"] is not None:
            state.setdefault(extra["prefix"] + _POSITIONS, extra["positions"])
        state[extra["prefix"] + theirs] = weights[ours]
    optimizer = _renumber(saved["optimizer"], list(weights), list(names.values()), path)
    return {"epoch": saved["epoch"], "state_dict": state, "optimizer": optimizer}


def _positions(width: int) -> Tensor:
    return sinusoid(MAX_POSITIONS, width)[None]


def _renumber(optimizer: dict[str, Any], here: list[str], there: list[str], path: Path) -> dict:
    # An optimizer numbers the parameters: from the order of weights `here` to that of `there`.
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    here, there = ([n for n in names if not n.endswith(buffers)] for names in (here, there))
    groups, state = optimizer.get("param_groups", []), optimizer.get("state", {})
    if [list(group["params"]) for group in groups] != [list(range(len(here)))]:
        raise UserError(f"{path}: 'optimizer' is not that of this model")
    moved = {there.index(here[number]): moments for number, moments in state.items()}
    return optimizer | {"state": dict(sorted(moved.items()))}
