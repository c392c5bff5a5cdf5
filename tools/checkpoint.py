"""Checkpoints: written whole or not at all, read without trusting them.

A checkpoint is a dictionary of tensors and plain values, `checkpoint_EEEE.pt` after E epochs and
`checkpoint_EEEE_SSSSSS.pt` after S further steps, in the folder of its run.
"""

import os
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from tools.cli import UserError, say

FORMAT = "umurl checkpoint 1"
PARTS = ("settings", "data", "metrics", "epoch", "step", "model", "optimizer", "scaler")
_NAME = re.compile(r"checkpoint_(\d{4,})(?:_(\d{6,}))?\.pt")


class CheckpointError(UserError):
    """A checkpoint that is missing, damaged or not of this code."""


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


def save(folder: Path, checkpoint: dict[str, Any], keep: int | None = None) -> Path:
    """Write a checkpoint so that it is whole or absent, then drop all but the `keep` newest.

    Written under a temporary name, flushed to the disk and renamed. Raises OSError, and leaves
    nothing behind, where it cannot be written.
    """
    path = path_of(folder, checkpoint["epoch"], checkpoint["step"])
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            torch.save({"format": FORMAT, **checkpoint}, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _flush_folder(folder)
    except RuntimeError as error:  # how torch.save reports a full disk
        raise OSError(f"{path} could not be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    for old in in_folder(folder)[:-keep] if keep else []:
        old.unlink(missing_ok=True)
    return path


def _flush_folder(folder: Path) -> None:
    # The rename itself reaches the disk only with the folder.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU. Nothing in the file is run.

    Raises CheckpointError where it is missing, damaged (checksums are verified) or of other code.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint; run ./script_pretrain.sh first")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        checkpoint = None if damaged else torch.load(path, map_location="cpu", weights_only=True)
    # A damaged file makes the unpickler raise nearly anything.
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise CheckpointError(f"{path} is damaged or not a checkpoint: {reason[0]}") from None
    if damaged:
        raise CheckpointError(f"{path} is damaged: checksum of {damaged} is wrong")
    if not isinstance(checkpoint, dict) or checkpoint.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of this code (format {FORMAT!r})")
    for part in PARTS:
        if part not in checkpoint:
            raise CheckpointError(f"{path} is incomplete: no {part!r}")
    return checkpoint


def newest(folder: Path) -> Path:
    """The newest checkpoint of a run's folder. Raises CheckpointError where there is none."""
    paths = in_folder(folder)
    if not paths:
        raise CheckpointError(f"{folder} holds no checkpoint; run ./script_pretrain.sh first")
    return paths[-1]


def to_resume(resume: str, folder: Path) -> dict[str, Any] | None:
    """The checkpoint that a run goes on from, or None to begin at the beginning.

    resume: a path, or `auto` for the newest one of the run's folder that is not damaged; damaged
    ones are said. Raises CheckpointError for a path that cannot be read, for one older than what
    the folder holds, and for a folder with nothing but damaged ones.
    """
    there = in_folder(folder)
    if resume != "auto":
        saved = load(Path(resume))
        ahead = path_of(folder, saved["epoch"], saved["step"])
        if there and position(there[-1]) > position(ahead):
            raise CheckpointError(f"{there[-1]} is newer than {resume}; move it away first")
        return saved
    for path in reversed(there):
        try:
            return load(path)
        except CheckpointError as error:
            say(f"warning: {error}; taking the one before")
    if there:
        raise CheckpointError(
            f"{folder}: every checkpoint is damaged; move them away to start anew"
        )
    return None


def refuse_other_run(
    saved: dict[str, Any], settings: dict[str, Any], data: dict[str, Any], free: set[str]
) -> None:
    """Raise CheckpointError unless a run with these settings and data can go on from a checkpoint.

    free: the settings that may differ. The error names the first difference.
    """
    for name in sorted(settings.keys() - free):
        if settings[name] != saved["settings"].get(name):
            raise CheckpointError(
                f"--{name.replace('_', '-')} is {settings[name]} here and was "
                f"{saved['settings'].get(name)} in the run to go on from; "
                "take that, or another --checkpoint-path to start anew"
            )
    for name, value in data.items():
        if value != saved["data"].get(name):
            raise CheckpointError(
                f"the store's {name} is {value} here and was {saved['data'].get(name)} in the run "
                "to go on from; take that store, or another --checkpoint-path to start anew"
            )
