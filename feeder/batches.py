"""Batches of clips: which clips a step takes, from where, and with which random draws.

Generators are seeded by (seed, round) for the order of clips, by (seed, epoch, step) for the views;
they draw for the batch of all ranks. So a step sees the same data with any number of ranks and
workers, and a run can continue anywhere.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from feeder.augment import PUBLISHED, Strengths, augmented_views, resize, uniform_draws
from feeder.mixture import Mixture, epoch_order
from feeder.store import Store

VIEWS = 4  # joint, bone, motion, fused


class Clips(NamedTuple):
    """n clips as packed frames."""

    frames: Tensor  # (F, M, V, C) float32, metres: those of these clips, or of the whole store
    start: Tensor  # (n,) int64, where each clip lies in `frames`
    length: Tensor  # (n,) int64

    @classmethod
    def one(cls, clip: np.ndarray) -> "Clips":
        """A single clip (T, M, V, C) float32."""
        return cls(torch.from_numpy(clip), torch.tensor([0]), torch.tensor([len(clip)]))

    def to(self, device: torch.device) -> "Clips":
        return Clips(*(part.to(device, non_blocking=True) for part in self))

    def resized(self) -> Tensor:
        """The whole clips, resized as the evaluation takes them: (n, T, M, V, C)."""
        return resize(self.frames, self.start, self.length)


class Batch(NamedTuple):
    """The part of a training batch that one rank takes."""

    clips: Clips  # the n clips of this rank
    uniform: Tensor  # (views, n, draws) float32 in [0, 1), the random draws for the views
    step: int  # in the epoch, from 0
    rows: np.ndarray  # the clips of all ranks
    shares: list[int]  # how many of them each rank takes
    strengths: Strengths = PUBLISHED

    def views(self) -> Tensor:
        """The augmented views: (views, n, T, M, V, C)."""
        return augmented_views(*self.clips, self.uniform, self.strengths)


def resident_frames(store: Store | Mixture, device: torch.device) -> Tensor:
    """All frames: (F, M, V, C) float32. On the CPU those of a single store stay on disk, mapped."""
    if isinstance(store, Store):
        return torch.from_numpy(store.joints).to(device)
    frames = torch.empty((int(store.length.sum()), *store.layout.frame_shape), device=device)
    parts = frames.split([len(part.joints) for part in store.stores])
    for part, one in zip(parts, store.stores, strict=True):
        part.copy_(torch.from_numpy(one.joints))  # memory may be too small for a second copy
    return frames


def load_clips(
    store: Store | Mixture, rows: np.ndarray, device: torch.device, frames: Tensor | None = None
) -> Clips:
    """Load the clips of some rows (n,) from `resident_frames`, or only these from the store.

    They are in host memory, pinned if `device` is a GPU; `frames`, if given, are not copied.
    """
    start, length = store.start[rows], store.length[rows]
    if frames is None:
        shape, pin = (int(length.sum()), *store.layout.frame_shape), device.type == "cuda"
        frames = torch.empty(shape, pin_memory=pin)
        start = np.cumsum(length) - length
        for row, first, n in zip(rows, start, length, strict=True):
            frames[first : first + n] = torch.from_numpy(store.clip(row))
    return Clips(frames, _host_tensor(start, device), _host_tensor(length, device))


def whole_clips(store: Store, rows: np.ndarray, device: torch.device) -> Tensor:
    """Load whole clips as the evaluation takes them: rows (n,) -> (n, T, M, V, C) float32."""
    # A CPU can read the mapped frames without a copy.
    frames = resident_frames(store, device) if device.type == "cpu" else None
    return load_clips(store, rows, device, frames).to(device).resized()


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Copy an array to a tensor on a device; the host does not wait."""
    return _host_tensor(array, device).to(device, non_blocking=True)


def _host_tensor(array: np.ndarray, device: torch.device) -> Tensor:
    tensor = torch.from_numpy(array)
    return tensor.pin_memory() if device.type == "cuda" else tensor


def batch_bounds(clips: int, batch_size: int) -> list[int]:
    """Where batches begin and end: [0, ..., clips]; a small rest joins the last one."""
    bounds = [*range(0, clips, batch_size), clips]
    if len(bounds) > 2 and bounds[-1] - bounds[-2] < smallest_batch(batch_size):
        del bounds[-2]
    return bounds


def smallest_batch(batch_size: int) -> int:
    """The fewest clips that form a last batch of their own: an eighth of a batch."""
    return max(2, batch_size // 8)


def largest_batch(clips: int, batch_size: int) -> int:
    """The clips of an epoch's largest batch, which decides the peak memory."""
    return int(np.diff(batch_bounds(clips, batch_size)).max())


def shares(batch: int, world_size: int) -> list[int]:
    """The number of clips of a batch that each rank takes; the first ranks may take one more."""
    return [len(part) for part in np.array_split(np.arange(batch), world_size)]


@dataclass(frozen=True)
class TrainingBatches:
    """The training batches of one rank."""

    store: Store | Mixture
    rows: np.ndarray  # (N,) int64, the training clips
    batch_size: int  # of all ranks together
    seed: int
    device: torch.device
    frames: Tensor | None = None  # of `resident_frames`; None to read each batch from disk
    workers: int = 0  # threads that read one batch each ahead
    rank: int = 0
    world_size: int = 1
    weights: tuple[float, ...] = ()  # of the data sets, as `epoch_order` takes them
    strengths: Strengths = PUBLISHED
    views: int = VIEWS  # with more, the first ones keep their draws (except rotations)

    def __len__(self) -> int:
        return len(batch_bounds(len(self.rows), self.batch_size)) - 1

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch in order, beginning with a step (from 0)."""
        order = self.rows[epoch_order(self.store.sizes(self.rows), self.weights, self.seed, epoch)]
        steps = pairwise(batch_bounds(len(self.rows), self.batch_size))
        reads = (
            partial(self._read, order[first:end], epoch, step)
            for step, (first, end) in enumerate(steps)
            if step >= first_step
        )
        # Threads only read into host memory. All copies to the device are made here, on the stream
        # of the thread that trains, so the step that follows sees them finished.
        for batch in _read_ahead(reads, self.workers):
            uniform = batch.uniform.to(self.device, non_blocking=True)
            yield batch._replace(clips=batch.clips.to(self.device), uniform=uniform)

    def _read(self, rows: np.ndarray, epoch: int, step: int) -> Batch:
        # Every rank draws for all ranks and keeps its own part.
        rng = np.random.default_rng([self.seed, epoch, step + 1])  # 0 is the order's stream
        joints = self.store.layout.skeleton.num_joints
        uniform = uniform_draws(rng, (self.views, len(rows)), joints, self.strengths)
        parts = shares(len(rows), self.world_size)
        first = sum(parts[: self.rank])
        mine = slice(first, first + parts[self.rank])
        clips = load_clips(self.store, rows[mine], self.device, self.frames)
        uniform = _host_tensor(np.ascontiguousarray(uniform[:, mine]), self.device)
        return Batch(clips, uniform, step, rows, parts, self.strengths)


def _read_ahead(reads: Iterator[Callable[[], Batch]], workers: int) -> Iterator[Batch]:
    # The results of `reads` in order. Up to `workers` threads do the next ones meanwhile.
    if workers < 1:
        yield from (read() for read in reads)
        return
    with ThreadPoolExecutor(workers) as pool:
        pending = deque(pool.submit(read) for read in islice(reads, workers))
        try:
            while pending:
                batch = pending.popleft().result()
                pending.extend(pool.submit(read) for read in islice(reads, 1))
                yield batch
        finally:
            pool.shutdown(cancel_futures=True)
