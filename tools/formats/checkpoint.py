"""Checkpoints: written whole or not at all, read without trusting them.

A checkpoint is a dictionary of tensors and plain values, `checkpoint_EEEE.pt` after E epochs and
`checkpoint_EEEE_SSSSSS.pt` after S further steps, in the folder of its run.
"""

import platform
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from data_gen.datasets.skeletons import NTU, DescriptionError, Layout
from data_gen.preparing.files import whole_file
from net.methods import DEFAULT_ENCODER
from tools.cli import UserError
from tools.formats import torch_files
from tools.training.settings import SIZES

MAX_EPOCH = 10**9 - 1  # that a checkpoint's name has digits for
VERSION = "1.0.0"  # of this code, as its checkpoints name it
FORMAT = "umurl checkpoint 1"
# What a checkpoint holds, in the order of its page.
PARTS = {
    "epoch": int,  # whole epochs done
    "step": int,  # steps done in the epoch after those
    "code": dict,  # what wrote it: see `code_facts`
    "data": dict,  # fingerprint of the store
    "metrics": dict,  # the log's latest means
    "settings": dict,  # flags
    "model": dict,  # state of UmURL: the encoder and its projectors
    "optimizer": dict,  # state of Adam
    "scaler": dict,  # state of the loss scaler, empty without fp16
}
AVERAGE = "average"  # beside PARTS, of runs with --average: the encoder's average over the steps
PLAIN = ("code", "data", "metrics", "settings", "scaler")
_NAME = re.compile(r"checkpoint_([0-9]{4,9})(?:_([0-9]{6,12}))?\.pt")


class CheckpointError(UserError):
    """A checkpoint that is missing, damaged, not of this code, or that cannot be written."""


# ---- names


def path_of(folder: Path, epoch: int, step: int = 0) -> Path:
    """Where the checkpoint after `epoch` whole epochs and `step` steps lies."""
    return folder / (
        f"checkpoint_{epoch:04d}_{step:06d}.pt" if step else f"checkpoint_{epoch:04d}.pt"
    )


def in_folder(folder: Path) -> list[Path]:
    """The checkpoints of a run, the oldest first."""
    found = (path for path in folder.glob("checkpoint_*.pt") if _NAME.fullmatch(path.name))
    return sorted(found, key=position)


def position(path: Path) -> tuple[int, int]:
    """The (epoch, step) that a checkpoint's name tells."""
    name = _NAME.fullmatch(path.name)
    return int(name[1]), int(name[2] or 0)


def newest(folder: Path) -> Path:
    """The newest checkpoint of a run's folder. Raises CheckpointError where there is none."""
    paths = in_folder(folder)
    if not paths:
        raise CheckpointError(f"{folder} holds no checkpoint; run ./script_pretrain.sh first")
    return paths[-1]


# ---- writing


def save(folder: Path, checkpoint: dict[str, Any], keep: int | None = None) -> Path:
    """Write a checkpoint so that it is whole or absent, then drop all but the `keep` newest.

    checkpoint: all PARTS but `code`. Written under a temporary name, flushed to the disk and
    renamed. Raises CheckpointError, and leaves nothing behind, where it cannot be written or where
    a weight or the optimizer's state is not finite.
    """
    path = path_of(folder, checkpoint["epoch"], checkpoint["step"])
    if broken := not_finite({name: checkpoint[name] for name in ("model", "optimizer")}):
        raise CheckpointError(f"{path} is not written: {broken} is not finite; take a smaller --lr")
    for left in folder.glob("checkpoint_*.part"):  # by a run that was killed
        left.unlink(missing_ok=True)
    try:
        write(path, {"format": FORMAT, "code": code_facts(), **checkpoint})
    except CheckpointError as error:
        raise CheckpointError(
            f"{error}; the ones before are whole: make room and start the same command again"
        ) from error
    if keep:
        older = [other for other in in_folder(folder) if position(other) < position(path)]
        for other in older[: max(len(older) - keep + 1, 0)]:
            other.unlink(missing_ok=True)
    return path


def write(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values as torch.save does, whole or not at all.

    Raises CheckpointError, and leaves nothing behind, where they cannot be written.
    """
    try:
        with whole_file(path) as part, part.open("wb") as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:  # torch.save makes either of a full disk
        why = getattr(error, "strerror", None) or "is the disk full?"
        raise CheckpointError(f"{path} could not be written ({why})") from error


@cache
def code_facts() -> dict[str, str | None]:
    """What is running: versions of this code, Python and torch, the git commit if any, the device.

    A commit that ends in `-dirty` had changes on top of it.
    """
    root, commit = Path(__file__).resolve().parents[2], None
    if (root / ".git").exists():
        command = ["git", "-C", root, "describe", "--always", "--dirty", "--abbrev=40"]
        try:
            told = subprocess.run(
                [*command, "--exclude=*"], capture_output=True, text=True, timeout=20, check=True
            )
            commit = told.stdout.strip()
        except (OSError, subprocess.SubprocessError):
            pass  # no git here, or it does not trust the folder: then the commit is not known
    return {
        "umurl": VERSION,
        "commit": commit,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


# ---- reading


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU. Nothing in the file is run, and none of it is believed.

    Returns all PARTS, with types as PARTS says and model sizes that the weights bear out. The
    tensors are mapped from the file. Raises CheckpointError where it is missing, damaged (checksums
    are verified) or of other code.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint; run ./script_pretrain.sh first")
    try:
        checkpoint = torch_files.read(path)
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged or not a checkpoint: {error}") from None
    if not isinstance(checkpoint, dict) or checkpoint.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is not a checkpoint of this code (format {FORMAT!r}); "
            "`python -m tools.convert` takes published ones"
        )
    if fault := _fault(checkpoint):
        raise CheckpointError(f"{path} is no whole checkpoint: {fault}")
    return checkpoint


def _fault(checkpoint: dict) -> str | None:
    """What is wrong with the parts of a checkpoint."""
    for name, kind in PARTS.items():
        if name not in checkpoint:
            return f"it lacks {name!r}"
        value = checkpoint[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            return f"{name!r} is {type(value).__name__}, not {kind.__name__}"
    for name in PLAIN:
        if not all(isinstance(key, str) and is_plain(v) for key, v in checkpoint[name].items()):
            return f"{name!r} holds more than plain values"
    if checkpoint["epoch"] < 0 or checkpoint["step"] < 0:
        return "'epoch' or 'step' is negative"
    weights, settings = checkpoint["model"], checkpoint["settings"]
    for part in ("model", *(AVERAGE,) * (AVERAGE in checkpoint)):
        if not (isinstance(checkpoint[part], dict) and _are_weights(checkpoint[part])):
            return f"{part!r} holds more than weights"
    # Sizes become memory: each must be one that the weights, which are there, have.
    widths = {width for weight in weights.values() for width in weight.shape}
    hidden, heads, layers, projector = (settings.get(name) for name in SIZES)
    if not all(type(size) is int and size > 0 for size in (hidden, heads, layers, projector)):
        return "'settings' lacks a size of the model"
    if not {hidden, projector} <= widths or hidden % heads or layers > len(weights):
        return "'settings' and 'model' disagree on the model's sizes"
    texts = ("data_root", "pre_dataset", "protocol")
    if not all(isinstance(settings.get(name), str) for name in texts):
        return "'settings' lacks the data set"
    try:
        layout = layout_of(checkpoint)
    except DescriptionError as error:
        return f"'layout': {error}"
    # Other encoders than ours may have no weight as wide as a frame; their sizes are still bounded.
    ours = settings.get("encoder", DEFAULT_ENCODER) == DEFAULT_ENCODER
    if ours and "layout" in checkpoint and layout.frame_size not in widths:
        return f"'layout', {layout}, and 'model' disagree on the size of a frame"
    return None


def _are_weights(state: dict) -> bool:
    return all(
        isinstance(name, str) and isinstance(weight, Tensor) and weight.is_contiguous()
        for name, weight in state.items()
    )


def encoder_of(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """The encoder's weights in a checkpoint: their average over the steps, if it has one."""
    if AVERAGE in checkpoint:
        return checkpoint[AVERAGE]
    weights = checkpoint["model"].items()
    return {k.removeprefix("encoder."): v for k, v in weights if k.startswith("encoder.")}


def layout_of(checkpoint: dict[str, Any]) -> Layout:
    """The bodies and the skeleton that a checkpoint's encoder was trained on; NTU's in old ones.

    checkpoint: as `load` gives it, whose layout is a right one.
    """
    return Layout.from_plain(checkpoint["layout"]) if "layout" in checkpoint else NTU


def is_plain(value: Any) -> bool:
    """Whether a value is a number, a text, None or a list of such."""
    if isinstance(value, list):
        return all(item is None or isinstance(item, (int, float, str)) for item in value)
    return value is None or isinstance(value, (int, float, str))


def is_weight(value: Any) -> bool:
    """Whether a value is a plain tensor whose numbers are all there.

    Not so are sparse and quantized tensors, empty ones, and those that repeat a few numbers.
    """
    return (
        type(value) in (Tensor, nn.Parameter)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and 0 < value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    )


def not_finite(tree: Any, name: str = "") -> str | None:
    """The name, as in `model.encoder.bias`, of a tensor with a number that is not finite, if any.

    tree: tensors in nested dictionaries.
    """
    if isinstance(tree, dict):
        found = (not_finite(value, f"{name}.{key}") for key, value in tree.items())
        return next(filter(None, found), None)
    broken = isinstance(tree, Tensor) and not tree.isfinite().all()
    return name.removeprefix(".") if broken else None


def check_fits(module: nn.Module, weights: dict[str, Tensor], source: str | Path) -> None:
    """Raise CheckpointError unless weights are a finite state of a module, by name, shape and type.

    The module may be an outline, built under `torch.device("meta")` where nothing is allocated.
    source: what the error names.
    """
    expected = module.state_dict()
    for name in sorted(expected.keys() ^ weights.keys()):
        what = "lacks the weight" if name in expected else "has a weight unknown here,"
        raise CheckpointError(f"{source} {what} {name}")
    for name, weight in expected.items():
        theirs = weights[name]
        if (theirs.shape, theirs.dtype) != (weight.shape, weight.dtype):
            raise CheckpointError(
                f"{source}: {name} is {theirs.dtype} {list(theirs.shape)}, "
                f"the model's is {weight.dtype} {list(weight.shape)}"
            )
    if broken := not_finite(weights):
        raise CheckpointError(f"{source}: {broken} is not finite")
