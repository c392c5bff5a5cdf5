"""The ranks of a run: start, stop signals, and what all ranks have to agree on."""

import contextlib
import fcntl
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from common import UserError

AMP = {"bf16": torch.bfloat16, "fp16": torch.float16, "off": None}  # of --amp


@dataclass(frozen=True)
class Process:
    """One rank of a run and its device."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, which prints and writes files."""
        return self.rank == 0


def start() -> Process:
    """Join the ranks that torchrun started (NCCL on GPUs, gloo on CPUs); else run alone."""
    rank, world_size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    device = torch.device("cpu")
    if torch.cuda.is_available():
        local_rank, gpus = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
        if local_rank >= gpus:
            raise UserError(f"--nproc_per_node: more processes than the {gpus} GPUs here")
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    if world_size > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Process(rank, world_size, device)


def precision(amp: str, device: torch.device) -> str:
    """What --amp means on a device: bf16, fp16 or off."""
    if device.type == "cpu":
        if amp == "fp16":
            raise UserError("--amp fp16 needs a GPU; take auto, bf16 or off")
        return "off" if amp == "auto" else amp
    # Older GPUs emulate bf16; torch.cuda.is_bf16_supported counts them, too.
    native = torch.cuda.get_device_capability(device) >= (8, 0)
    return amp if amp != "auto" else "bf16" if native else "fp16"


def memory(device: torch.device) -> dict[str, float]:
    """{"gpu_memory_gib": peak}; empty on a CPU."""
    if device.type == "cpu":
        return {}
    return {"gpu_memory_gib": torch.cuda.max_memory_allocated(device) / 2**30}


def stop() -> None:
    """Leave the process group, if any; restore the default signal handlers."""
    if dist.is_initialized():
        dist.destroy_process_group()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


class StopSignal:
    """Catches SIGTERM and Ctrl-C, so that the run can save and exit with 128 + `number`."""

    def __init__(self, process: Process):
        self.number: int | None = None
        self._process = process
        signal.signal(signal.SIGTERM, self._catch)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as in a background job
            signal.signal(signal.SIGINT, self._catch)

    def _catch(self, number: int, frame: Any) -> None:
        self.number = self.number or number
        if self._process.world_size == 1:  # torchrun passes Ctrl-C on, so ranks get it twice
            signal.signal(signal.SIGINT, signal.default_int_handler)  # the second one ends at once

    def on_any_rank(self) -> bool:
        """Whether any rank got a signal; a collective with a single number."""
        if self._process.world_size > 1:
            number = torch.tensor(self.number or 0, device=self._process.device)
            dist.all_reduce(number, op=dist.ReduceOp.MAX)
            self.number = int(number) or None
        return self.number is not None


def all_true(process: Process, condition: bool) -> bool:
    """Whether a condition holds on all ranks."""
    if process.world_size == 1:
        return condition
    flag = torch.tensor(int(condition), device=process.device)
    dist.all_reduce(flag, op=dist.ReduceOp.MIN)
    return bool(flag)


def from_rank_0(process: Process, value: Any) -> Any:
    """Rank 0's value, on all ranks."""
    if process.world_size == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, device=process.device)
    return box[0]


def require_same(process: Process, facts: dict[str, Any]) -> None:
    """Raise UserError if facts {name: value} differ between ranks, as those of two machines may."""
    if process.world_size == 1:
        return
    everyone: list[Any] = [None] * process.world_size
    dist.all_gather_object(everyone, facts)
    for rank, theirs in enumerate(everyone):
        for name, value in everyone[0].items():
            if theirs[name] != value:
                fault = f"{name} is {theirs[name]} on rank {rank} and {value} on rank 0"
                raise UserError(f"{fault}; all ranks need the same flags and data")


@contextlib.contextmanager
def lock_folder(folder: Path, process: Process) -> Iterator[None]:
    """Make the folder of a run and keep other runs out of it, until the process ends.

    Raises UserError if another run writes to it: both would overwrite each other's checkpoints.
    """
    if not process.is_main:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another run is writing to {folder}; take another folder") from None
        except OSError:
            print(f"warning: {folder} has no file locks; start no second run there", flush=True)
        yield
