"""The processes of a run: which one this is, its device, and what all of them agree on."""

import copy
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
ONE_PRESS = 1.0  # seconds within which all signals of one Ctrl-C arrive


@dataclass(frozen=True)
class Process:
    """One process of a run, and its device.

    rank: number of this process, from 0.
    world_size: number of processes.
    """

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this is the process that prints and writes files."""
        return self.rank == 0


def start() -> Process:
    """Join the processes that torchrun started; without torchrun this process is alone.

    GPUs communicate by NCCL, CPUs by gloo. Raises UserError where this machine has more processes
    than GPUs, and where the processes do not find each other.
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
    """Notices Ctrl-C and SIGTERM. Schedulers send SIGTERM some time before they kill a job.

    seen: whether all processes have agreed to stop.
    asked: whether this process got a signal.
    number: the signal that this process got.
    """

    def __init__(self, process: Process):
        self.seen = False
        self.asked = False
        self.number = signal.SIGTERM
        self._process = process
        self._since = math.inf

    @property
    def name(self) -> str:
        """The signal's name as a user knows it."""
        return "Ctrl-C" if self.number == signal.SIGINT else self.number.name

    def listen(self) -> None:
        """From now on notice the signals, instead of what Python does at a signal.

        A second Ctrl-C ends the process at once.
        """
        signal.signal(signal.SIGTERM, self._ask)
        # A job in the background ignores Ctrl-C, and must go on doing so.
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._ask)

    def _ask(self, number: int, _) -> None:
        if number == signal.SIGINT:
            # One Ctrl-C may reach a process twice: from the terminal and from the launcher.
            if self._process.world_size == 1:
                signal.signal(signal.SIGINT, signal.SIG_DFL)
            elif time.monotonic() - self._since > ONE_PRESS:
                os._exit(128 + signal.SIGINT)
            self._since = min(self._since, time.monotonic())
        if not self.asked:
            self.asked, self.number = True, signal.Signals(number)

    def received(self, *, ask_ranks: bool) -> bool:
        """Whether to stop now; all processes get the same answer.

        ask_ranks: exchange the answer with the other ranks now. A process that is alone needs no
            exchange.
        """
        if self._process.world_size == 1:
            self.seen = self.asked
        elif ask_ranks:
            flag = torch.tensor([float(self.asked)], device=self._process.device)
            dist.all_reduce(flag, op=dist.ReduceOp.MAX)
            self.seen = bool(flag.item())
        return self.seen


def on_all_ranks(process: Process, function: Callable[[], T]) -> T:
    """Call a function on each process; if one call fails, raise UserError on all processes.

    Returns what `function` returned on this process. Machines differ in the files on their disks,
    and only the main process prints errors.
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
    """Call a function on the main process alone; return its result, or raise its UserError, on all.

    The files that the function reads need not be on the disks of the other processes. Tensors in
    dicts, such as those of a checkpoint, are sent one by one, on the CPU or from GPU to GPU.
    """
    if process.world_size == 1:
        return function()
    answer = on_all_ranks(process, function if process.is_main else lambda: None)
    tensors: list[Tensor] = []
    box = [_map_tensors(answer, lambda x: tensors.append(x) or x.to("meta"))]
    dist.broadcast_object_list(box, device=process.device)
    received = iter(tensors)

    def receive(place: Tensor) -> Tensor:
        if process.is_main:
            tensor = next(received)
            dist.broadcast(tensor.to(process.device).contiguous(), 0)
            return tensor
        tensor = torch.empty(place.shape, dtype=place.dtype, device=process.device)
        dist.broadcast(tensor, 0)
        return tensor.cpu()

    return _map_tensors(box[0], receive)


def _map_tensors(tree: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """A copy of nested dicts, with their attributes, in which each tensor is replaced."""
    if isinstance(tree, Tensor):
        return function(tree)
    if not isinstance(tree, dict):
        return tree
    copied = copy.copy(tree)
    for key, value in tree.items():
        copied[key] = _map_tensors(value, function)
    return copied


def require_alike(process: Process, facts: dict[str, Any]) -> None:
    """Raise UserError, on all processes, where facts of a process differ from the main process's.

    facts: {name: value}. A user types the command on each machine, and each machine has its own
        disk.
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


def parallel(model: nn.Module, process: Process, *, partly: bool = False) -> nn.Module:
    """Wrap the model so that gradients are averaged over the ranks.

    With one rank, return it as it is.

    partly: the model has weights that take no part, so DDP must not wait for their gradients.
    """
    if process.world_size == 1:
        return model
    # Batch norm computes the same statistics on every rank, so DDP need not send them. Newer
    # versions of torch have another name for the flag.
    known = inspect.signature(DistributedDataParallel).parameters
    flag = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    # Gradients stay where they were summed up over the ranks, not copied back.
    shared = {"gradient_as_bucket_view": True, flag: False}
    return DistributedDataParallel(model, find_unused_parameters=partly, **shared)


@contextmanager
def lock_folder(folder: Path, process: Process) -> Iterator[None]:
    """Make the folder of a run, and keep other runs out of it inside this context.

    Raises UserError where another run writes to the folder. The lock ends with the process, even
    when the process is killed.
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
