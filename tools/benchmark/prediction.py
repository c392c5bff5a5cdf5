"""Predict what a step of pre-training takes on a GPU, from what it asks of an emulated GPU."""

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
from tools.benchmark.counting import COLLECTIVES, OTHER, REDUCE, Counting, Operation, Work
from tools.benchmark.emulation import emulated_gpu, on_gpu
from tools.benchmark.gpus import GIB, Gpu
from tools.benchmark.step import Given, random_views, stepper
from tools.training.distributed import Process

# Assumptions of the predictions. Three shares of the maker's rates that a step reaches:
MATRIX_SHARE, BANDWIDTH_SHARE, LINK_SHARE = 0.65, 0.85, 0.75
LAUNCH = 8e-6  # seconds that the host takes to launch an operation
COLLECTIVE = 25e-6  # seconds that a collective takes before it moves its bytes
FIRST_BUCKET, BUCKET = 2**20, 25 * 2**20  # bytes of gradients that DDP sends at once, or more
RESERVE = 1.0 * GIB  # memory of the driver, of workspaces, and of gaps between tensors
PARTS = (1, 2, 4, 8, 16, 32)  # numbers of parts in which a batch may be encoded
TRIES = 6  # steps of the search for the largest batch
HALF = (torch.bfloat16, torch.float16)
# Kinds that torch.compile fuses with their neighbors into one kernel, and the phases it compiles.
FUSIBLE = {OTHER, "casts and copies", "relu", "layer norm"}
COMPILED = ("forward", "backward")


@dataclass(frozen=True)
class Setting:
    """What is trained.

    sizes: hidden size, attention heads, transformer layers.
    width: outputs of a projector.
    batch: clips of all ranks together.
    ranks: number of GPUs.
    amp: type of the network's arithmetic; None for float32.
    parts: number of parts in which each rank encodes its clips, see `net.parts`.
    """

    sizes: tuple[int, int, int] = (1024, 1, 1)
    width: int = 4096
    batch: int = 1024
    ranks: int = 1
    amp: torch.dtype | None = torch.bfloat16
    parts: int = 1


class Step(NamedTuple):
    """What the first rank does in one step.

    operations: in order.
    peak: bytes.
    parameters: how many numbers the model has.
    last_bucket: bytes of the gradients that DDP sends when the backward pass is done.
    """

    operations: list[Operation]
    peak: int
    parameters: int
    last_bucket: int = 0


class Seconds(NamedTuple):
    """Predicted times in seconds.

    step: the whole step.
    device: the GPU's computing.
    host: the host's launching, at the same time.
    waiting: for other ranks.
    """

    step: float
    device: float
    host: float
    waiting: float


def counted_step(setting: Setting) -> Step:
    """Count what one step asks of the first rank's GPU, when Adam has its state."""
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
            backward(loss)
            counting.phase = "update"

        def leave(_model, _views, outputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            counting.phase = "loss"  # forward and backward, until the backward pass of the model
            return _Outputs.apply(*outputs, counting)

        model.register_forward_pre_hook(lambda *_: setattr(counting, "phase", "forward"))
        model.register_forward_hook(leave)
        few = shares(2 * setting.ranks, setting.ranks)
        step(Given(random_views(few[0], gpu.device), few))  # makes Adam's state
        counting.phase = ""
        with counting, mock.patch("torch.Tensor.backward", go_back):
            counting.hold([*model.parameters(), *model.buffers()])
            step(Given(random_views(mine[0], gpu.device), mine))
    # DDP's buckets hold room for all gradients, all the time.
    copies = 4 * parameters if setting.ranks > 1 else 0
    peak = counting.peak + 2 * 4 * parameters + copies
    return Step(counting.operations, peak, parameters, last_bucket(model))


def last_bucket(model: torch.nn.Module) -> int:
    """Bytes in the last of DDP's buckets, which are filled from the last parameter to the first."""
    held, most = 0, FIRST_BUCKET
    for parameter in reversed(list(model.parameters())):
        if held >= most:
            held, most = 0, BUCKET
        held += 4 * parameter.numel()
    return held


class _Outputs(torch.autograd.Function):
    """The unchanged outputs of a model; notes when the backward pass of the model begins."""

    @staticmethod
    def forward(ctx, *given: torch.Tensor | Counting) -> tuple[torch.Tensor, ...]:
        *outputs, ctx.counting = given
        return tuple(output.view_as(output) for output in outputs)

    @staticmethod
    def backward(ctx, *gradients: torch.Tensor):
        ctx.counting.phase = "backward"
        return *gradients, None


@contextmanager
def _first_of(ranks: int) -> Iterator[None]:
    """Inside this context this process is the first of several, and collectives need no others."""
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
    """Predict how long a step takes if `ranks` GPUs of one machine share it.

    compiled: whether torch.compile is used.
    """
    computing = [x for x in step.operations if x.kind not in COLLECTIVES]
    talking = [x for x in step.operations if x.kind in COLLECTIVES]
    kernels = fused(computing) if compiled else computing
    device = sum(operation_seconds(x, gpu) for x in kernels)
    back = sum(operation_seconds(x, gpu) for x in kernels if x.phase == "backward")
    host = LAUNCH * (len(kernels) + len(talking))
    link = LINK_SHARE * gpu.link
    # The answer of a collective is waited for if it is read before the update.
    read = {value for x in step.operations if x.phase != "update" for value in x.reads}
    awaited = [x for x in talking if read & x.writes.keys()]
    waiting = sum(COLLECTIVE + sent(x, ranks) / link for x in awaited)
    if ranks > 1:
        # DDP copies each gradient to its bucket and sends full buckets during the backward pass;
        # only the last bucket must be waited for.
        device += 2 * 4 * step.parameters / (BANDWIDTH_SHARE * gpu.bandwidth)
        mean = 2 * (ranks - 1) / ranks * 4 * step.parameters / link
        last = 2 * (ranks - 1) / ranks * step.last_bucket
        waiting += max(mean - back, 0) + COLLECTIVE + last / link
    return Seconds(max(device, host) + waiting, device, host, waiting)


def sent(operation: Operation, ranks: int) -> float:
    """Bytes that each rank sends in a collective, by a ring of ranks (a sum takes two rounds)."""
    rounds = 2 if operation.kind == REDUCE else 1
    return rounds * (ranks - 1) / ranks * sum(operation.writes.values())


def operation_seconds(operation: Operation, gpu: Gpu) -> float:
    """Seconds of one operation: the longer of its arithmetic and its memory traffic."""
    rate = gpu.half if operation.dtype in HALF else gpu.single
    memory = operation.work.moved / (BANDWIDTH_SHARE * gpu.bandwidth)
    return max(operation.work.flops / (MATRIX_SHARE * rate), memory)


NOTHING = (Work(), 0.0)


def by_kind(operations: list[Operation], gpu: Gpu) -> dict[str, tuple[Work, float]]:
    """The summed work and the seconds of each kind of operation."""
    found: dict[str, tuple[Work, float]] = {}
    for operation in operations:
        work, time = found.get(operation.kind, NOTHING)
        found[operation.kind] = work + operation.work, time + operation_seconds(operation, gpu)
    return found


def fused(operations: list[Operation]) -> list[Operation]:
    """The operations as torch.compile groups them: several become one kernel.

    Fusible operations that read each other's results in the same phase become one operation. It
    reads what comes from outside the group and writes what is read outside, each once. The
    prediction is somewhat too low: the compiler does not fuse operations that run along different
    axes.
    """
    parent = list(range(len(operations)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    fusible = [x.kind in FUSIBLE and x.phase in COMPILED for x in operations]
    maker: dict[int, int] = {}  # value -> index of the operation that wrote it
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
    """Most clips whose step fits into memory, a multiple of eight; 0 where none fits.

    memory: bytes of each GPU.

    Memory grows nearly linearly with the batch, so each try lies on the line through the last two.
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
    """Fewest parts (1, 2, 4, ...) in which the batch fits into memory; None where none fits.

    memory: bytes of each GPU.
    """
    for parts in PARTS:
        if peak(replace(setting, parts=parts)) + RESERVE <= memory:
            return parts
    return None


@cache
def peak(setting: Setting) -> int:
    """Most bytes that a step holds at one time."""
    return counted_step(setting).peak
