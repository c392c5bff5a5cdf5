"""What a step of pre-training will take on a GPU, from what it asks of an emulated one."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple
from unittest import mock

import torch
import torch.distributed as dist

from feeder.batches import shares
from net.parts import encode_in_parts
from net.umurl import UmURL
from tools.benchmark.counting import OTHER, Counting, Operation, Work
from tools.benchmark.emulation import emulated_gpu, on_gpu
from tools.benchmark.gpus import GIB, Gpu
from tools.benchmark.step import Given, random_views, stepper
from tools.training.distributed import Process

# What the predictions assume. Shares of what the maker writes that such a step reaches:
MATRIX_SHARE, BANDWIDTH_SHARE, LINK_SHARE = 0.65, 0.85, 0.75
LAUNCH = 8e-6  # seconds that the host takes for an operation
COLLECTIVE = 25e-6  # seconds that a collective takes beside moving its bytes
RESERVE = 1.0 * GIB  # of the driver, the libraries' workspaces, and gaps between tensors
PARTS = (1, 2, 4, 8, 16, 32)  # in which a batch may be encoded
TRIES = 6  # to find the largest batch
HALF = (torch.bfloat16, torch.float16)
# What torch.compile puts into one kernel with what comes before and after it, where it is used.
FUSIBLE = {OTHER, "casts and copies", "relu", "layer norm"}
COMPILED = ("forward", "backward")


@dataclass(frozen=True)
class Setting:
    """What is trained.

    sizes: hidden size, heads, layers; batch: clips of all ranks together; parts: in which each
    rank encodes its own, see `net.parts`.
    """

    sizes: tuple[int, int, int] = (1024, 1, 1)
    width: int = 4096
    batch: int = 1024
    ranks: int = 1
    amp: torch.dtype | None = torch.bfloat16
    parts: int = 1


class Step(NamedTuple):
    """A step as the first rank does it. peak: bytes; parameters: how many numbers."""

    operations: list[Operation]
    peak: int
    parameters: int


class Seconds(NamedTuple):
    """Predicted times.

    step: of all of it; device: of the GPU's computing; host: of the host's asking for that, at the
    same time; waiting: for other ranks.
    """

    step: float
    device: float
    host: float
    waiting: float


def counted_step(setting: Setting) -> Step:
    """What the first rank is asked for in a step, with Adam's state as after the first one."""
    with torch.device("meta"):
        model = UmURL(*setting.sizes, setting.width)
    parameters = sum(p.numel() for p in model.parameters())
    if setting.parts > 1:
        encode_in_parts(model.encoder, setting.parts)
    mine = shares(setting.batch, setting.ranks)
    with _first_of(setting.ranks), emulated_gpu() as gpu:
        step = stepper(on_gpu(model), Process(0, setting.ranks, gpu.device), setting.amp)
        counting = Counting(gpu.device)
        backward = torch.Tensor.backward

        def go_back(loss: torch.Tensor) -> None:
            counting.phase = "backward"
            backward(loss)
            counting.phase = "update"

        model.register_forward_pre_hook(lambda *_: setattr(counting, "phase", "forward"))
        model.register_forward_hook(lambda *_: setattr(counting, "phase", "loss"))
        few = shares(2 * setting.ranks, setting.ranks)
        step(Given(random_views(few[0], gpu.device), few))  # which makes Adam's state
        with counting, mock.patch("torch.Tensor.backward", go_back):
            counting.hold([*model.parameters(), *model.buffers()])
            step(Given(random_views(mine[0], gpu.device), mine))
    # DDP keeps the gradients a second time, for its collectives.
    copies = 4 * parameters if setting.ranks > 1 else 0
    return Step(counting.operations, counting.peak + 2 * 4 * parameters + copies, parameters)


@contextmanager
def _first_of(ranks: int) -> Iterator[None]:
    """This process as the first of several, whose collectives ask nobody."""
    if ranks == 1:
        yield
        return
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=ranks)
    try:
        yield
    finally:
        dist.destroy_process_group()


def seconds(step: Step, gpu: Gpu, ranks: int, *, compiled: bool) -> Seconds:
    """How long a step takes on each of some GPUs of one machine."""
    computing = [x for x in step.operations if x.kind != "collectives"]
    talking = [x for x in step.operations if x.kind == "collectives"]
    kernels = fused(computing) if compiled else computing
    device = sum(operation_seconds(x, gpu) for x in kernels)
    back = sum(operation_seconds(x, gpu) for x in kernels if x.phase == "backward")
    host = LAUNCH * (len(kernels) + len(talking))
    link = LINK_SHARE * gpu.link
    waiting = sum(COLLECTIVE + x.work.moved / link for x in talking)
    if ranks > 1:
        # The gradients' mean goes around while more of them are computed; its end is waited for.
        mean = 2 * (ranks - 1) / ranks * 4 * step.parameters / link
        waiting += max(mean - back, 0) + COLLECTIVE + 25e6 / link
    return Seconds(max(device, host) + waiting, device, host, waiting)


def operation_seconds(operation: Operation, gpu: Gpu) -> float:
    """What one operation takes, by its arithmetic or by its memory."""
    rate = gpu.half if operation.dtype in HALF else gpu.single
    memory = operation.work.moved / (BANDWIDTH_SHARE * gpu.bandwidth)
    return max(operation.work.flops / (MATRIX_SHARE * rate), memory)


NOTHING = (Work(), 0.0)


def by_kind(operations: list[Operation], gpu: Gpu) -> dict[str, tuple[Work, float]]:
    """What the operations of each kind are together, and the seconds that they take."""
    found: dict[str, tuple[Work, float]] = {}
    for operation in operations:
        work, time = found.get(operation.kind, NOTHING)
        found[operation.kind] = work + operation.work, time + operation_seconds(operation, gpu)
    return found


def fused(operations: list[Operation]) -> list[Operation]:
    """The operations, those that torch.compile makes one kernel of put together.

    Fusible operations that read what others wrote in the same phase become one, which reads what
    comes from elsewhere and writes what goes elsewhere, each once. That is somewhat less than what
    is reached: the compiler keeps apart what goes along other axes.
    """
    parent = list(range(len(operations)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    fusible = [x.kind in FUSIBLE and x.phase in COMPILED for x in operations]
    maker: dict[int, int] = {}  # which operation wrote a value
    for i, operation in enumerate(operations):
        for value in operation.reads if fusible[i] else ():
            made_by = maker.get(value)
            if made_by is not None and fusible[made_by]:
                same = operations[made_by].phase == operation.phase
                parent[root(i)] = root(made_by) if same else root(i)
        maker.update(dict.fromkeys(operation.writes, i))
    readers: dict[int, set[int]] = defaultdict(set)
    for i, operation in enumerate(operations):
        for value in operation.reads:
            readers[value].add(root(i))
    groups: dict[int, list[Operation]] = defaultdict(list)
    for i, operation in enumerate(operations):
        groups[root(i)].append(operation)
    return [_together(group, readers, place) for place, group in groups.items()]


def _together(group: list[Operation], readers: dict[int, set[int]], place: int) -> Operation:
    if len(group) == 1:
        return group[0]
    written = {value: size for x in group for value, size in x.writes.items()}
    reads = {v: size for x in group for v, size in x.reads.items() if v not in written}
    writes = {v: size for v, size in written.items() if readers[v] != {place}}
    work = Work(1, 0, sum(reads.values()) + sum(writes.values()))
    first = group[0]
    return Operation("fused by torch.compile", first.dtype, first.phase, work, reads, writes)


def largest_batch(setting: Setting, memory: float) -> int:
    """The most clips of which a step fits memory (bytes a GPU), to eight; 0 where none do.

    Memory grows nearly along a line, so the place is found by lines through the last two tries.
    """
    room = memory - RESERVE
    before, clips = 16 * setting.ranks, 64 * setting.ranks
    peaks = {n: peak(replace(setting, batch=n)) for n in (before, clips)}
    for _ in range(TRIES):
        slope = (peaks[clips] - peaks[before]) / (clips - before)
        guess = int(clips + (room - peaks[clips]) / slope) // 8 * 8
        if guess in (clips, before) or guess < 8:
            break
        before, clips = clips, guess
        peaks[clips] = peak(replace(setting, batch=clips))
    return max((n for n in peaks if peaks[n] <= room), default=0)


def parts_that_fit(setting: Setting, memory: float) -> int | None:
    """The fewest parts (1, 2, 4, ...) in which the batch fits memory (bytes a GPU), if any do."""
    for parts in PARTS:
        if peak(replace(setting, parts=parts)) + RESERVE <= memory:
            return parts
    return None


@cache
def peak(setting: Setting) -> int:
    """Bytes that a step takes at most."""
    return counted_step(setting).peak
