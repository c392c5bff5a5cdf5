"""Batches of clips: which ones, from where, with which random draws.

Everything random comes from numpy generators seeded by (seed, epoch) and (seed, epoch, step), for
the batch of all ranks at once. So neither the number of ranks or workers nor the device changes
what a step sees, and a run can go on from any step.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from feeder.augment import VIEW_FRAMES, Augmentation, augment, augmentation, resize, uniform_draws
from feeder.mixture import Mixture, epoch_order
from feeder.store import Store
from feeder.strengths import PUBLISHED, Strengths

VIEWS = 4  # joint, bone, motion, fused


class Clips(NamedTuple):
    """Some clips of a store as packed frames.

    frames: (F, M, V, C) float32, theirs alone or the whole store; start, length: (n,) int64.
    """

    frames: Tensor
    start: Tensor
    length: Tensor

    def resized(self) -> Tensor:
        """Whole clips as the evaluation sees them: (n, T, M, V, C)."""
        return resize(self.frames, self.start, self.length)


class Batch(NamedTuple):
    """One rank's share of a training batch.

    clips: n packed clips; uniform: (VIEWS, n, draws) float32 in [0, 1); step: which of its epoch;
    rows: all ranks' clips, rows of the store; shares: how many of them each rank has; strengths:
    of the views' augmentation.
    """

    clips: Clips
    uniform: Tensor
    step: int
    rows: np.ndarray
    shares: list[int]
    strengths: Strengths = PUBLISHED

    def views(self) -> Tensor:
        """The augmented views, each with draws of its own or all alike: (VIEWS, n, T, M, V, C)."""
        frames, start, length = self.clips
        clips = start.repeat(VIEWS), length.repeat(VIEWS)
        uniform = self.uniform
        if self.strengths.shared_view:
            uniform = uniform[:1].expand_as(uniform)
        chosen = augmentation(uniform.flatten(0, 1), *clips, self.strengths)
        views = frames.new_empty(VIEWS, len(start), VIEW_FRAMES, *frames.shape[1:])
        # One after another, which a CPU's caches like better.
        parts = zip(*(x.chunk(VIEWS) for x in chosen), strict=True)
        for view, part in zip(views, parts, strict=True):
            augment(frames, Augmentation(*part), out=view)
        return views


def resident_frames(store: Store | Mixture, device: torch.device) -> Tensor:
    """All frames of one or several stores as a tensor on a device: (F, M, V, C).

    On the CPU those of a single store stay mapped from disk; those of several would be copied.
    """
    if isinstance(store, Store):
        return torch.from_numpy(store.joints).to(device)
    pieces = [torch.from_numpy(part.joints) for part in store.stores]
    frames = torch.empty((sum(map(len, pieces)), *store.layout.frame_shape), device=device)
    for part, piece in zip(frames.split([len(p) for p in pieces]), pieces, strict=True):
        part.copy_(piece)  # one by one: twice the memory of all may not be there
    return frames


def load_clips(
    store: Store | Mixture, rows: np.ndarray, device: torch.device, frames: Tensor | None = None
) -> Clips:
    """The clips in some rows of a store or of several, on a device.

    frames: what `resident_frames` gave, if it did; otherwise the clips' own frames are copied.
    """
    store.require_whole()
    start, length = store.start[rows], store.frames[rows]
    if frames is None:
        shape = store.layout.frame_shape
        packed = torch.empty((int(length.sum()), *shape), pin_memory=device.type == "cuda")
        none = np.empty((0, *shape), np.float32)  # there may be no clip
        np.concatenate([none, *map(store.clip, rows)], out=packed.numpy())
        frames, start = packed.to(device, non_blocking=True), np.cumsum(length) - length
    return Clips(frames, to_device(start, device), to_device(length, device))


def whole_clips(store: Store, rows: np.ndarray, device: torch.device) -> Tensor:
    """Whole clips in some rows of a store, as the evaluation sees them: (n, T, M, V, C)."""
    # A CPU reads the frames where they lie.
    frames = resident_frames(store, device) if device.type == "cpu" else None
    return load_clips(store, rows, device, frames).resized()


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """An array as a tensor on a device; a GPU takes it while the host goes on."""
    tensor = torch.from_numpy(array)
    tensor = tensor.pin_memory() if device.type == "cuda" else tensor
    return tensor.to(device, non_blocking=True)


def batch_bounds(clips: int, batch_size: int) -> list[int]:
    """Where the batches of an epoch begin and end: every clip once, the rest in a last batch.

    A rest too small for batch statistics (a single clip, or under an eighth of a batch) joins the
    batch before it.
    """
    bounds = [*range(0, clips, batch_size), clips]
    if len(bounds) > 2 and bounds[-1] - bounds[-2] < max(2, batch_size // 8):
        del bounds[-2]
    return bounds


def shares(batch: int, world_size: int) -> list[int]:
    """How many clips of a batch each rank takes: equal, or one more on the first ranks."""
    return [len(part) for part in np.array_split(np.arange(batch), world_size)]


@dataclass(frozen=True)
class TrainingBatches:
    """The training batches of one rank.

    rows: the training clips, rows of the store; batch_size: clips of all ranks together; frames:
    what `resident_frames` gave, or None to read each batch from disk, `workers` batches ahead in
    as many threads (0: when it is asked for). weights: of several data sets, the share of each in
    every batch, as `epoch_order` takes them. strengths: of the views'
    augmentation.
    """

    store: Store | Mixture
    rows: np.ndarray
    batch_size: int
    seed: int
    device: torch.device
    frames: Tensor | None = None
    workers: int = 0
    rank: int = 0
    world_size: int = 1
    weights: tuple[float, ...] = ()
    strengths: Strengths = PUBLISHED

    def __len__(self) -> int:
        """Steps in an epoch."""
        return len(batch_bounds(len(self.rows), self.batch_size)) - 1

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch in order, from a step on."""
        sizes = self.store.sizes(self.rows)
        order = self.rows[epoch_order(sizes, self.weights, self.seed, epoch)]
        bounds = batch_bounds(len(self.rows), self.batch_size)
        jobs = (
            partial(self._load, order[bounds[step] : bounds[step + 1]], epoch, step)
            for step in range(first_step, len(self))
        )
        return _ahead(jobs, self.workers)

    def _load(self, rows: np.ndarray, epoch: int, step: int) -> Batch:
        # The draws of all ranks, of which this rank keeps its own: 150 floats a clip.
        rng = np.random.default_rng([self.seed, epoch, step + 1])
        joints = self.store.layout.skeleton.num_joints
        uniform = uniform_draws(rng, (VIEWS, len(rows)), joints, self.strengths)
        parts = shares(len(rows), self.world_size)
        first = sum(parts[: self.rank])
        mine = slice(first, first + parts[self.rank])
        clips = load_clips(self.store, rows[mine], self.device, self.frames)
        uniform = np.ascontiguousarray(uniform[:, mine])
        uniform = to_device(uniform, self.device)
        return Batch(clips, uniform, step, rows, parts, self.strengths)


def _ahead(jobs: Iterator[partial], workers: int) -> Iterator[Batch]:
    """Run jobs in order, up to `workers` of them ahead of the one that is asked for."""
    if workers == 0:
        yield from (job() for job in jobs)
        return
    with ThreadPoolExecutor(workers) as pool:
        pending = deque()
        try:
            for job in jobs:
                pending.append(pool.submit(job))
                if len(pending) > workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
