"""Write checkpoints in a thread, while the training goes on."""

import contextlib
import copy
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tools.formats import checkpoint
from tools.formats.checkpoint import CheckpointError


class Saver:
    """Writes the checkpoints of a run in a thread, one after another, each from its own copy.

    folder: the run's folder.
    keep: how many checkpoints stay.

    Use it in a with statement; the end of the statement waits until the last checkpoint is written.
    An error in the thread is raised as CheckpointError by the next call of a method, or by the end
    of the with statement, unless another error ends the statement.
    """

    def __init__(self, folder: Path, keep: int):
        self._folder, self._keep = folder, keep
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future | None = None
        self._held: dict[tuple, Tensor] = {}  # the copy; all checkpoints use the same memory

    def __enter__(self) -> "Saver":
        return self

    def __exit__(self, kind, *_) -> None:
        # The error that ended the with statement counts more than one of the thread.
        with contextlib.suppress(*() if kind is None else (CheckpointError,)):
            self.wait()
        self._thread.shutdown()

    def save(self, content: dict[str, Any]) -> Path:
        """Copy a checkpoint and begin to write it; returns the path that it will have.

        content: as `tools.formats.checkpoint.save` takes it.

        Waits until the checkpoint before is written. Tensors of a GPU are copied after the work
        that the GPU was given so far; this function does not wait for that work.
        """
        self.wait()
        copied, on_gpu = self._copy(content)
        ready = torch.cuda.Event() if on_gpu else None
        if ready:
            ready.record()
        self._writing = self._thread.submit(self._write, copied, ready)
        return checkpoint.path_of(self._folder, content["epoch"], content["step"])

    def check(self) -> None:
        """Raise an error of the thread, if there is one, without waiting."""
        if self._writing and self._writing.done():
            self.wait()

    def wait(self) -> None:
        """Wait until the checkpoint is on the disk."""
        writing, self._writing = self._writing, None
        if writing:
            writing.result()

    def _write(self, content: dict[str, Any], ready: torch.cuda.Event | None) -> None:
        if ready:
            ready.synchronize()
        checkpoint.save(self._folder, content, self._keep)

    def _copy(self, tree: Any, *place: str | int) -> tuple[Any, bool]:
        """Copy a tree.

        Returns the tree with its tensors on the CPU, and whether one came from a GPU.
        """
        if isinstance(tree, Tensor):
            held = self._held.get(place)
            if held is None or (held.shape, held.dtype) != (tree.shape, tree.dtype):
                held = torch.empty(tree.shape, dtype=tree.dtype, pin_memory=tree.is_cuda)
                self._held[place] = held
            return held.copy_(tree.detach(), non_blocking=True), tree.is_cuda
        if not isinstance(tree, dict):
            return tree, False
        copied, on_gpu = copy.copy(tree), False  # keeps the attributes that torch sets on a state
        for key, value in tree.items():
            copied[key], there = self._copy(value, *place, key)
            on_gpu |= there
        return copied, on_gpu
