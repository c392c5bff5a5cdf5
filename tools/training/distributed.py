"""One process or many: where this one stands, what it owns, and how rows are gathered from all."""

import fcntl
import inspect
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from feeder.store import StoreError
from tools.cli import UserError
from tools.training import connection_errors

T = TypeVar("T")
ONE_PRESS = 1.0  # seconds in which all signals of one Ctrl-C arrive


@dataclass(frozen=True)
class Process:
    """This process among those that torchrun started, and its device."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this is the process that prints and writes."""
        return self.rank == 0


def start() -> Process:
    """Join the processes that torchrun started; alone without it. GPUs by NCCL, CPUs by gloo.

    Raises UserError where there are more processes on this machine than GPUs, and where they do
    not find each other.
    """
    rank, world_size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    device = torch.device("cpu")
    if torch.cuda.is_available():
        local_rank, gpus = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
        if local_rank >= gpus:
            raise UserError(f"more processes than the {gpus} GPUs here; lower --nproc_per_node")
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    if world_size > 1:
        try:
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        except RuntimeError as error:
            reason = connection_errors.reason_of(error)
            raise UserError(f"the processes of this run do not find each other: {reason}") from None
    return Process(rank, world_size, device)


def stop() -> None:
    """Leave the other processes."""
    if dist.is_initialized():
        dist.destroy_process_group()


class StopSignal:
    """Notices Ctrl-C, and SIGTERM, which schedulers send some time before they kill.

    seen: whether all processes stop; asked: whether this one was told to; number: by which signal.
    """

    def __init__(self, process: Process):
        self.seen = False
        self.asked = False
        self.number = signal.SIGTERM
        self._process = process
        self._since = math.inf

    @property
    def name(self) -> str:
        """What the user knows the signal by."""
        return "Ctrl-C" if self.number == signal.SIGINT else self.number.name

    def listen(self) -> None:
        """From now on notice the signals, in the place of what Python does at them.

        A second Ctrl-C ends the process at once, whatever it does.
        """
        signal.signal(signal.SIGTERM, self._ask)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as in a job in the background
            signal.signal(signal.SIGINT, self._ask)

    def _ask(self, number: int, _) -> None:
        if number == signal.SIGINT:
            # One Ctrl-C may reach each of several processes twice, the launcher passes it on.
            if self._process.world_size == 1:
                signal.signal(signal.SIGINT, signal.SIG_DFL)
            elif time.monotonic() - self._since > ONE_PRESS:
                os._exit(128 + signal.SIGINT)
            self._since = min(self._since, time.monotonic())
        if not self.asked:
            self.asked, self.number = True, signal.Signals(number)

    def received(self, *, ask_ranks: bool) -> bool:
        """Whether to stop now: alone at once, with other ranks when they are asked, all alike."""
        if self._process.world_size == 1:
            self.seen = self.asked
        elif ask_ranks:
            flag = torch.tensor([float(self.asked)], device=self._process.device)
            dist.all_reduce(flag, op=dist.ReduceOp.MAX)
            self.seen = bool(flag.item())
        return self.seen


def on_all_ranks(process: Process, function: Callable[[], T]) -> T:
    """What `function` returns here; where it fails on any process, UserError on all of them.

    Machines differ in what lies on their disks, and only the main process speaks.
    """
    if process.world_size == 1:
        return function()
    result = fault = None
    try:
        result = function()
    except (UserError, StoreError, OSError) as error:
        fault = str(error)
    faults: list[str | None] = [None] * process.world_size
    dist.all_gather_object(faults, fault)
    for rank, fault in enumerate(faults):
        if fault is not None:
            raise UserError(f"on rank {rank}: {fault}" if rank else fault)
    return result


def from_main(process: Process, function: Callable[[], T]) -> T:
    """What `function` returns, or the UserError it raises, on the main process; on all of them.

    Only the main process calls it, so what it reads need not be there for the others.
    """
    if process.world_size == 1:
        return function()
    answer = [on_all_ranks(process, function if process.is_main else lambda: None)]
    dist.broadcast_object_list(answer, device=process.device)
    return answer[0]


def require_alike(process: Process, facts: dict[str, Any]) -> None:
    """Raise UserError, on all processes, where one of them has other facts than the main process.

    Commands are typed on every machine, and each has its own disk.
    """
    if process.world_size == 1:
        return
    everyone: list[Any] = [None] * process.world_size
    dist.all_gather_object(everyone, facts)
    for rank, theirs in enumerate(everyone):
        for name, value in everyone[0].items():
            if theirs[name] != value:
                raise UserError(
                    f"{name} is {theirs[name]} on rank {rank} and {value} on rank 0; "
                    "all ranks need the same settings and data"
                )


def parallel(model: nn.Module, process: Process) -> nn.Module:
    """The model, its gradients averaged over the ranks where there are several."""
    if process.world_size == 1:
        return model
    # Batch norm computes the same statistics on every rank; newer versions of torch call the flag
    # that would send them around by another name.
    known = inspect.signature(DistributedDataParallel).parameters
    flag = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    return DistributedDataParallel(model, **{flag: False})


class _Gather(torch.autograd.Function):
    """The clips of all ranks; the gradient goes back to each rank's own."""

    @staticmethod
    def forward(ctx, own: Tensor, shares: list[int], rank: int) -> Tensor:
        ctx.shares, ctx.rank = shares, rank
        # Collectives want equal shapes: the smaller shares are padded and cut again.
        padded = own.new_zeros(*own.shape[:-2], max(shares), own.shape[-1])
        padded[..., : own.shape[-2], :] = own
        gathered = [torch.empty_like(padded) for _ in shares]
        dist.all_gather(gathered, padded)
        parts = zip(gathered, shares, strict=True)
        return torch.cat([part[..., :n, :] for part, n in parts], dim=-2)

    @staticmethod
    def backward(ctx, grad: Tensor):
        # Every rank computes the same loss on the same gathered clips, so `grad` is the same on
        # all and needs no reduction. DDP will average parameter gradients over the ranks, where
        # the whole batch's gradient is their sum: hence the factor.
        first = sum(ctx.shares[: ctx.rank])
        mine = grad[..., first : first + ctx.shares[ctx.rank], :]
        return mine * len(ctx.shares), None, None


def gather_clips(own: Tensor, shares: list[int], rank: int) -> Tensor:
    """The clips of all ranks, in order of rank: (..., shares[rank], D) -> (..., their sum, D).

    Differentiable for a loss that every rank computes alike, in a model wrapped in DDP.
    """
    return own if len(shares) == 1 else _Gather.apply(own, shares, rank)


@contextmanager
def lock_folder(folder: Path, process: Process) -> Iterator[None]:
    """Make the folder of a run and keep other runs out of it as long as this one lasts.

    Raises UserError where another run has it. The lock goes with the process, however it ends.
    """
    if not process.is_main:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another run is writing to {folder}; take another folder") from None
        except OSError:
            print(
                f"warning: {folder} has no file locks; start no second run there", file=sys.stderr
            )
        yield
