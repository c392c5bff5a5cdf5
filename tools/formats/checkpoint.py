"""Checkpoints: written whole or not at all, and read without trusting them.

A checkpoint is a dictionary of tensors and plain values. It lies in the folder of its run. Its name
is `checkpoint_EEEE.pt` after E epochs, and `checkpoint_EEEE_SSSSSS.pt` S steps later.
"""

import platform
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from data_gen.preparing.files import whole_file
from feeder.skeletons import NTU, DescriptionError, Layout
from net.methods import DEFAULT_ENCODER
from tools.cli import UserError
from tools.formats import torch_files
from tools.training.settings import SIZES

MAX_EPOCH = 10**9 - 1  # the greatest that the digits of a checkpoint's name can tell
VERSION = "1.0.0"  # the version of this code that checkpoints name
FORMAT = "umurl checkpoint 1"
# The parts of a checkpoint, in the order in which `tools.checkpoint` shows them.
PARTS = {
    "epoch": int,  # whole epochs that are done
    "step": int,  # steps that are done in the next epoch
    "code": dict,  # the code that wrote the checkpoint, see `code_facts`
    "data": dict,  # facts and fingerprint of the store
    "metrics": dict,  # the latest means of the log
    "settings": dict,  # the settings of pre-training
    "model": dict,  # the state of the model: encoder and projectors
    "optimizer": dict,  # the state of Adam
    "scaler": dict,  # the state of the loss scaler; empty without fp16
}
AVERAGE = "average"  # a further part, in runs with --average: the average of the encoder's weights
PLAIN = ("code", "data", "metrics", "settings", "scaler")
_NAME = re.compile(r"checkpoint_([0-9]{4,9})(?:_([0-9]{6,12}))?\.pt")


class CheckpointError(UserError):
    """A checkpoint is missing, damaged, written by other code, or cannot be written."""


# ---- names


def path_of(folder: Path, epoch: int, step: int = 0) -> Path:
    """The path of the checkpoint after `epoch` whole epochs and `step` further steps."""
    return folder / (
        f"checkpoint_{epoch:04d}_{step:06d}.pt" if step else f"checkpoint_{epoch:04d}.pt"
    )


def in_folder(folder: Path) -> list[Path]:
    """The checkpoints of a run, the oldest first."""
    found = (path for path in folder.glob("checkpoint_*.pt") if _NAME.fullmatch(path.name))
    return sorted(found, key=position)


def position(path: Path) -> tuple[int, int]:
    """The (epoch, step) in a checkpoint's name."""
    name = _NAME.fullmatch(path.name)
    return int(name[1]), int(name[2] or 0)


def newest(folder: Path) -> Path:
    """The newest checkpoint in a run's folder. Raises CheckpointError where there is none."""
    paths = in_folder(folder)
    if not paths:
        raise CheckpointError(f"{folder} holds no checkpoint; run ./script_pretrain.sh first")
    return paths[-1]


# ---- writing


def save(folder: Path, checkpoint: dict[str, Any], keep: int | None = None) -> Path:
    """Write a checkpoint whole or not at all, then remove all but the `keep` newest.

    folder: the run's folder.
    checkpoint: all PARTS but `code`.
    keep: number of checkpoints; None keeps all.
    Raises CheckpointError where the file cannot be written, or where a weight or the optimizer's
    state is not finite; nothing is left behind.
    """
    path = path_of(folder, checkpoint["epoch"], checkpoint["step"])
    if broken := not_finite({name: checkpoint[name] for name in ("model", "optimizer")}):
        raise CheckpointError(f"{path} is not written: {broken} is not finite; take a smaller --lr")
    for left in folder.glob("checkpoint_*.part"):  # a run that was killed left this file
        left.unlink(missing_ok=True)
    try:
        write(path, {"format": FORMAT, "code": code_facts(), **checkpoint})
    except CheckpointError as error:
        raise CheckpointError(
            f"{error}; older checkpoints are whole: make room and start the same command again"
        ) from error
    if keep:
        older = [other for other in in_folder(folder) if position(other) < position(path)]
        for other in older[: max(len(older) - keep + 1, 0)]:
            other.unlink(missing_ok=True)
    return path


def write(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values as torch.save does, whole or not at all.

    Raises CheckpointError where they cannot be written; nothing is left behind.
    """
    try:
        with whole_file(path) as part, part.open("wb") as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:  # torch.save raises one or the other on a full disk
        why = getattr(error, "strerror", None) or "is the disk full?"
        raise CheckpointError(f"{path} could not be written ({why})") from error


@cache
def code_facts() -> dict[str, str | None]:
    """What is running: versions of this code, Python and torch, the git commit, and the device.

    A commit that ends in `-dirty` has uncommitted changes. It is None where git does not tell it.
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
            pass  # git is missing or does not trust the folder: the commit stays unknown
    return {
        "umurl": VERSION,
        "commit": commit,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


# ---- reading


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU. Nothing in the file is run, and nothing in it is trusted.

    Returns all PARTS, each of the type that PARTS says; the model's sizes fit its weights. The
    tensors are mapped from the file. Raises CheckpointError where the file is missing, damaged
    (checksums are verified) or written by other code.
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
    """What is wrong with the parts of a checkpoint; None where nothing is."""
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
    # A size decides how much memory is allocated, so it must be a size of the weights in the file.
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
    # Only our own encoder must have a weight as wide as a frame.
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
    """The encoder's weights in a checkpoint; their average over the steps where there is one."""
    if AVERAGE in checkpoint:
        return checkpoint[AVERAGE]
    weights = checkpoint["model"].items()
    return {k.removeprefix("encoder."): v for k, v in weights if k.startswith("encoder.")}


def layout_of(checkpoint: dict[str, Any]) -> Layout:
    """The bodies and the skeleton that the encoder was trained on; NTU's in old checkpoints.

    checkpoint: as `load` returns it.
    """
    return Layout.from_plain(checkpoint["layout"]) if "layout" in checkpoint else NTU


def is_plain(value: Any) -> bool:
    """Whether a value is a number, a text, None, or a list of these."""
    if isinstance(value, list):
        return all(item is None or isinstance(item, (int, float, str)) for item in value)
    return value is None or isinstance(value, (int, float, str))


def is_weight(value: Any) -> bool:
    """Whether a value is a plain tensor on the CPU, with all its numbers in memory.

    Sparse, quantized and empty tensors are none, nor are tensors that repeat a few numbers.
    """
    return (
        type(value) in (Tensor, nn.Parameter)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and 0 < value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    )


def not_finite(tree: Any, name: str = "") -> str | None:
    """The name, such as `model.encoder.bias`, of a tensor with a number that is not finite.

    Else None.

    tree: tensors in nested dictionaries.
    name: the name of the tree itself.
    """
    if isinstance(tree, dict):
        found = (not_finite(value, f"{name}.{key}") for key, value in tree.items())
        return next(filter(None, found), None)
    broken = isinstance(tree, Tensor) and not tree.isfinite().all()
    return name.removeprefix(".") if broken else None


def check_fits(module: nn.Module, weights: dict[str, Tensor], source: str | Path) -> None:
    """Raise CheckpointError unless weights are finite and fit a module: names, shapes and types.

    module: may be on torch's meta device, where nothing is allocated.
    weights: a state of the module.
    source: the file that the error names.
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
