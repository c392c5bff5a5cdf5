"""Convert the published UmURL checkpoints, {'epoch', 'state_dict', 'optimizer'}, to ours and back.

Nothing is lost: a published checkpoint that is converted and converted back has the same entries,
bit by bit and in the same order.
"""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from net.encoder import MAX_POSITIONS, sinusoid
from net.modalities import MODALITIES
from net.umurl import UmURL
from tools.formats.checkpoint import MAX_EPOCH, CheckpointError, check_fits, is_plain, is_weight
from tools.formats.torch_files import reason

PREFIX = "module."  # published models were saved in their wrapper for several GPUs
ENTRIES = {"epoch": int, "state_dict": dict, "optimizer": dict}
_POSITIONS = "backbone.ma_encoder.pe.pe"  # (1, 200, H); our code computes it and does not save it
_TEMPORAL = "backbone.ma_encoder.t_tr."
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
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def from_published(path: Path, num_head: int, settings: dict[str, str]) -> dict[str, Any]:
    """Read a published checkpoint as one of ours, for `tools.formats.checkpoint.save`.

    path: the published file.
    num_head: attention heads, which no weight tells.
    settings: `data_root`, `pre_dataset` and `protocol`, which the file does not tell.

    The result has one part more than our checkpoints, `published`: what only published files hold.
    Raises CheckpointError where the file is no published checkpoint.
    """
    saved = _load(path)
    names = list(saved["state_dict"])
    prefix = PREFIX if all(name.startswith(PREFIX) for name in names) else ""
    state = {name.removeprefix(prefix): w for name, w in saved["state_dict"].items()}
    positions = state.pop(_POSITIONS, None)
    try:
        weights = {our_name(name): weight.contiguous() for name, weight in state.items()}
        for name in ("encoder.temporal.fusion.weight", "projectors.joint.6.weight"):
            if weights[name].dim() != 2:
                raise CheckpointError(f"{path}: {name} is no matrix")
        sizes = {
            "hidden_size": len(weights["encoder.temporal.fusion.weight"]),
            "num_head": num_head,
            "num_layer": sum(
                name.startswith(_TEMPORAL) and name.endswith(".norm1.weight") for name in state
            ),
            "projector_width": len(weights["projectors.joint.6.weight"]),
        }
    except KeyError as error:
        raise CheckpointError(f"{path}: the weight {error} is unknown or missing") from None
    if sizes["hidden_size"] % num_head:
        raise CheckpointError(
            f"{path}: its width {sizes['hidden_size']} cannot be divided by --num-head {num_head}"
        )
    with torch.device("meta"):
        model = UmURL(*sizes.values())
    check_fits(model, weights, path)
    if positions is not None and not _are_positions(positions, sizes["hidden_size"]):
        raise CheckpointError(f"{path}: {_POSITIONS} is not the sinusoidal position encoding")
    order = _parameter_order(list(weights), list(model.state_dict()))
    known = {"method": "umurl", "epochs": saved["epoch"]}
    return {
        "epoch": saved["epoch"],
        "step": 0,
        "settings": settings | known | sizes,
        "data": {},
        "metrics": {},
        "model": {name: weights[name] for name in model.state_dict()},
        "optimizer": _reorder(saved["optimizer"], order, path),
        "scaler": {},
        "published": {"prefix": prefix, "positions": positions},
    }


def to_published(saved: dict[str, Any], path: Path) -> dict[str, Any]:
    """Convert one of our checkpoints to the published format.

    saved: as `tools.formats.checkpoint.load` returns it.
    path: its file, for the error.
    Raises CheckpointError where the run is not of UmURL.
    """
    ours = saved["model"]
    sizes = [saved["settings"][name] for name in ("hidden_size", "num_head", "num_layer")]
    with torch.device("meta"):
        check_fits(UmURL(*sizes, saved["settings"]["projector_width"]), ours, path)
    default = {"prefix": PREFIX, "positions": sinusoid(MAX_POSITIONS, sizes[0])[None]}
    extra = saved.get("published", default)
    if not _is_extra(extra, sizes[0]):
        raise CheckpointError(f"{path}: 'published' is damaged")
    names = {  # published -> ours, in the published order
        theirs + name.removeprefix(own): name
        for theirs, own in _BEGINNINGS
        for name in ours
        if name.startswith(own)
    }
    state: dict[str, Tensor] = {}
    for theirs, own in names.items():
        if theirs.startswith(_TEMPORAL) and extra["positions"] is not None:
            state.setdefault(extra["prefix"] + _POSITIONS, extra["positions"])
        state[extra["prefix"] + theirs] = ours[own]
    order = _parameter_order(list(ours), list(names.values()))
    optimizer = _reorder(saved["optimizer"], order, path)
    return {"epoch": saved["epoch"], "state_dict": state, "optimizer": optimizer}


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of files that are refused below
            saved = torch.load(path, map_location="cpu", weights_only=True)
    # A damaged file can make the unpickler raise nearly any error.
    except Exception as error:
        raise CheckpointError(f"{path} is damaged or not a checkpoint: {reason(error)}") from None
    for name, kind in ENTRIES.items():
        value = saved.get(name) if isinstance(saved, dict) else None
        if not isinstance(value, kind):
            raise CheckpointError(
                f"{path} is not a published checkpoint: no {kind.__name__} {name!r}"
            )
    if type(saved["epoch"]) is bool or not 0 <= saved["epoch"] <= MAX_EPOCH:
        raise CheckpointError(
            f"{path}: 'epoch' is {str(saved['epoch'])[:20]}, not from 0 to {MAX_EPOCH}"
        )
    for name, weight in saved["state_dict"].items():
        if not (isinstance(name, str) and is_weight(weight)):
            raise CheckpointError(f"{path}: 'state_dict' holds more than weights: {name!r:.80}")
    return saved


def _are_positions(positions: Tensor, hidden_size: int) -> bool:
    # A tolerance, since the last digits depend on the machine.
    ours = sinusoid(MAX_POSITIONS, hidden_size)[None]
    alike = (positions.shape, positions.dtype) == (ours.shape, ours.dtype)
    return alike and torch.allclose(positions, ours, atol=1e-4)


def _is_extra(extra: Any, hidden_size: int) -> bool:
    if not isinstance(extra, dict) or extra.get("prefix") not in ("", PREFIX):
        return False
    positions = extra.get("positions")
    return positions is None or (is_weight(positions) and _are_positions(positions, hidden_size))


def our_name(name: str) -> str:
    """Our name of a weight, given its published name. Raises KeyError where there is none."""
    for theirs, ours in _BEGINNINGS:
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    raise KeyError(name)


def _parameter_order(here: list[str], there: list[str]) -> list[int]:
    """Where each parameter stands in another order, given the names in both orders."""
    there = [name for name in there if not name.endswith(_BUFFERS)]
    return [there.index(name) for name in here if not name.endswith(_BUFFERS)]


def _reorder(optimizer: dict[str, Any], order: list[int], path: Path) -> dict[str, Any]:
    """An optimizer's state with its parameters renumbered by `order`."""
    state, groups = optimizer.get("state"), optimizer.get("param_groups")
    try:
        (group,) = groups
        moments = [moment for moments in state.values() for moment in moments.values()]
        if not all(is_weight(moment) or isinstance(moment, (int, float)) for moment in moments):
            raise ValueError
        values = [list(v) if isinstance(v, tuple) else v for v in group.values()]
        if optimizer.keys() != {"state", "param_groups"} or not all(map(is_plain, values)):
            raise ValueError
        if list(group["params"]) != list(range(len(order))):
            raise ValueError
        moved = {order[number]: moments for number, moments in state.items()}
    except (TypeError, ValueError, KeyError, IndexError, AttributeError):
        raise CheckpointError(f"{path}: 'optimizer' is not that of this model") from None
    return optimizer | {"state": dict(sorted(moved.items()))}
