"""Checkpoints: `checkpoint_EEEE.pt` after E epochs, `checkpoint_EEEE_SSSSSS.pt` S steps later.

A checkpoint is a dictionary of tensors and plain values:

format      "umurl checkpoint 1"
epoch, step whole epochs done, and steps done in the next one
settings    the flags of pretrain.py, {name: value}, with defaults resolved
data        numbers of clips and frames, split, SHA-256 of samples.csv
code        versions, git commit and device at the start of the run
metrics     the latest means of the log
layout      skeleton and bodies of a frame; NTU's if it is missing
preparation how recordings became clips of the store, for new recordings; older code lacks it
model       state_dict of encoder and projectors
optimizer, scaler   their state_dicts
"""

import argparse
import platform
import re
import subprocess
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from common import UserError, atomic, flag
from feeder.mixture import Mixture
from feeder.skeletons import NTU, Layout
from feeder.store import Store

VERSION = "1.0.0"  # the version of this code that checkpoints name
FORMAT = "umurl checkpoint 1"
FINGERPRINT = "samples.csv sha256"  # the name of a store's fingerprint in checkpoints and results
# Settings that may differ between the machines of a run.
LOCAL = {"data_root", "resident", "workers", "checkpoint_path", "resume", "resume_anyway"}
# Settings that change no result. A resume may change these and, without --cosine, --epochs.
IDLE = LOCAL | {"recipe", "compile", "save_every", "keep", "print_freq", "monitor_every"}
# Settings of commit 2487049 that are gone, with the values that changed nothing.
REMOVED = {"accumulate": None, "no_compile": None, "average": 0.0, "decoupled_wd": False}
_NAME = re.compile(r"checkpoint_([0-9]{4,9})(?:_([0-9]{6,12}))?\.pt")


# ---- names


def path_of(folder: Path, epoch: int, step: int = 0) -> Path:
    """The path of the checkpoint after `epoch` whole epochs and `step` further steps."""
    steps = f"_{step:06d}" if step else ""
    return folder / f"checkpoint_{epoch:04d}{steps}.pt"


def in_folder(folder: Path) -> list[Path]:
    """The checkpoints of a run, the oldest first."""
    found = (path for path in folder.glob("checkpoint_*.pt") if _NAME.fullmatch(path.name))
    return sorted(found, key=position)


def position(path: Path) -> tuple[int, int]:
    """The (epoch, step) in a checkpoint's name."""
    name = _NAME.fullmatch(path.name)
    return int(name[1]), int(name[2] or 0)


def newest(run: Path) -> Path:
    """The newest checkpoint of a run's folder, or the one that `run` is. UserError without any."""
    paths = in_folder(run) if run.is_dir() else [run]
    if not paths:
        raise UserError(f"{run} holds no checkpoint; run ./script_pretrain.sh first")
    return paths[-1]


# ---- writing


def save(folder: Path, checkpoint: dict[str, Any], keep: int | None = None) -> Path:
    """Write a checkpoint atomically, then remove all but the `keep` newest.

    checkpoint: as above; `format` is added, and `code` if it is missing
    Raises UserError if a weight is not finite, or the file cannot be written.
    """
    path = path_of(folder, checkpoint["epoch"], checkpoint["step"])
    if broken := not_finite(checkpoint["model"]):
        raise UserError(f"{path} is not written: {broken} is not finite; lower --lr")
    for left in folder.glob("checkpoint_*.part"):  # of a run that was killed
        left.unlink(missing_ok=True)
    try:
        with atomic(path) as part:
            torch.save({"format": FORMAT, "code": code_facts()} | checkpoint, part)
    except (OSError, RuntimeError) as error:  # torch raises either on a full disk
        raise UserError(f"{path} could not be written: {error}; is the disk full?") from error
    older = [other for other in in_folder(folder) if position(other) < position(path)]
    for other in older[: max(len(older) - keep + 1, 0)] if keep else ():
        other.unlink(missing_ok=True)
    return path


def facts_of(args: argparse.Namespace, store: Store | Mixture, clips: int) -> dict[str, Any]:
    """The `settings` and `data` of a checkpoint, as plain values."""
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items()}
    data = {
        "clips": len(store.names),
        "frames": int(store.length.sum()),
        "protocol": args.protocol,
        "training clips": clips,
        FINGERPRINT: store.fingerprint,
    }
    return {"settings": settings, "data": data}


@cache
def code_facts() -> dict[str, str | None]:
    """Versions, git commit (None if unknown, `-dirty` with uncommitted changes) and device."""
    root, commit = Path(__file__).resolve().parents[2], None
    command = ["git", "-C", root, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    if (root / ".git").exists():
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
            commit = done.stdout.strip()
        except (OSError, subprocess.SubprocessError):
            pass  # git is missing, or does not trust the folder
    return {
        "umurl": VERSION,
        "commit": commit,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


# ---- reading


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU, without running anything in the file.

    Raises UserError if the file is missing, damaged, or not a checkpoint of this code.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint; run ./script_pretrain.sh first")
    saved = read_torch(path)
    if not isinstance(saved, dict) or saved.get("format") != FORMAT:
        fault = f"{path} is not a checkpoint of this code"
        raise UserError(f"{fault}; `python -m tools.convert` takes published ones")
    return saved | {"settings": without_removed(saved["settings"])}


def without_removed(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings without those of REMOVED that changed nothing."""
    return {k: v for k, v in settings.items() if k not in REMOVED or REMOVED[k] not in (None, v)}


def read_torch(path: Path) -> Any:
    """What torch.save wrote, mapped from the file. Raises UserError if it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise ValueError(f"the checksum of {damaged} is wrong")
        return torch.load(str(path), map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # a damaged file can make the unpickler raise anything
        text = str(error)
        if found := re.search(r"Unsupported (?:global|class|operand)[^\n]*?([\w.]+\.\w+)", text):
            reason = f"it holds Python objects ({found[1]}), which are not read from a file"
        else:
            reason = next(filter(None, map(str.strip, text.splitlines())), type(error).__name__)
        raise UserError(f"{path} is damaged or not a checkpoint: {reason}") from None


def encoder_of(saved: dict[str, Any]) -> dict[str, Tensor]:
    """The encoder's weights in a checkpoint, as its state_dict."""
    if "average" in saved:  # of commit 2487049 with --average; evaluations took it
        return saved["average"]
    weights = saved["model"].items()
    return {k.removeprefix("encoder."): v for k, v in weights if k.startswith("encoder.")}


def layout_of(saved: dict[str, Any]) -> Layout:
    """The bodies and the skeleton that the encoder reads; NTU's in old checkpoints."""
    return Layout.from_plain(saved["layout"]) if "layout" in saved else NTU


def not_finite(weights: dict[str, Tensor]) -> str | None:
    """The name of a weight that is not finite, or None."""
    return next((name for name, weight in weights.items() if not weight.isfinite().all()), None)


def load_weights(
    module: nn.Module, weights: dict[str, Tensor], source: str | Path, assign: bool = False
) -> None:
    """Load a state_dict. Raises UserError, naming the source, if it does not fit."""
    try:
        module.load_state_dict(weights, assign=assign)
    except RuntimeError as error:  # missing or unknown weights, other shapes
        first = str(error).splitlines()[1].strip()
        raise UserError(f"{source} does not fit: {first:.200}") from None


# ---- resume


def to_resume(resume: str, folder: Path) -> dict[str, Any] | None:
    """The checkpoint to continue from, or None to begin.

    resume: "auto", or the path of a checkpoint
    folder: the run's folder. Its newest whole checkpoint wins over `resume`, so the same command
        continues a run however often it is started.
    Raises UserError if no checkpoint can be read.
    """
    paths, named = in_folder(folder), [] if resume == "auto" else [Path(resume)]
    if paths and named:
        print(f"{folder} holds checkpoints already, so --resume {resume} is not used", flush=True)
    for path in reversed(paths or named):
        try:
            saved = load(path)
        except UserError as error:
            if path in paths[1:]:
                print(f"warning: {error}; taking the checkpoint before", flush=True)
                continue
            raise
        print(f"resuming {path}: epoch {saved['epoch']}, step {saved['step']}", flush=True)
        return saved
    return None


def refuse_other_run(
    saved: dict[str, Any],
    *,
    settings: dict[str, Any],
    data: dict[str, Any],
    store: Store | Mixture,
    anyway: bool,
) -> None:
    """Raise UserError if the checkpoint is of a run with other settings or data.

    saved: the checkpoint; its settings are complete
    settings, data, store: of this run
    anyway: only print the differences; another layout never fits
    """
    if (trained := layout_of(saved)) != store.layout:
        fault = f"the checkpoint was trained on clips of {trained}, the data holds {store.layout}"
        raise UserError(f"{fault}; take another --checkpoint-path for a new run")
    before = saved["settings"]
    # The learning rate of a cosine depends on the number of epochs.
    free = IDLE if settings["cosine"] else IDLE | {"epochs"}
    compared = [k for k in settings | before if k not in free and (k in settings or k in REMOVED)]
    pairs = {flag(k): (before.get(k), settings.get(k)) for k in compared}
    pairs |= {f"data: {k}": (saved["data"].get(k), value) for k, value in data.items()}
    if "preparation" in saved:
        was, read = saved["preparation"].get("reading", {}), store.preparation["reading"]
        # by_energy is newer than some checkpoints, and about new recordings only.
        pairs |= {f"data: {k}": (was.get(k), read.get(k)) for k in was | read if k != "by_energy"}
    for name, (was, value) in pairs.items():
        if was == value:
            continue
        change = f"{name} is {value} and was {was} in the run to resume"
        if not anyway:
            raise UserError(f"{change}; take another --checkpoint-path, or --resume-anyway")
        print(f"note: {change}", flush=True)
