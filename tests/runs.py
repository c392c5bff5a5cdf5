"""Run commands in tests: in this process, in a process to kill, or on several ranks."""

import contextlib
import io
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
import torch.distributed as dist
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import common
from tools.training import checkpoint, distributed

ROOT = Path(__file__).parents[1]
# A model and steps so small that a run takes a second.
SMALL = [
    *("--pre-dataset", "ntu60", "--hidden-size", "8", "--projector-width", "16"),
    *("--batch-size", "12", "--schedule", "2", "--workers", "0"),
    *("--save-every", "1", "--print-freq", "1", "--monitor-every", "0"),
]
# Its processes are forked from one that has imported torch.
FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(["tests.runs", "pretrain"])


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


def pretraining(data_root: Path, folder: Path, *flags: object) -> list[str]:
    """Flags for a small run of pretrain.py. Of a flag that occurs twice the later counts."""
    where = ["--data-root", str(data_root), "--checkpoint-path", str(folder)]
    return [*where, *SMALL, *map(str, flags)]


def call(main: Callable[[], None], *flags: object) -> Outcome:
    """Run a command's main as the entry script does, on the CPU, in this process."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    argv = [Path(sys.modules[main.__module__].__file__).name, *map(str, flags)]
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with (
        mock.patch.object(sys, "argv", argv),
        mock.patch("torch.cuda.is_available", return_value=False),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            common.run(main)
        except SystemExit as exit:
            code = exit.code
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    return Outcome(code, out.getvalue(), err.getvalue())


def succeed(main: Callable[[], None], *flags: object) -> str:
    """Run a command as `call` does, to a good end; what it prints."""
    done = call(main, *flags)
    assert done.code == 0, done.err
    return done.out


def refusal(main: Callable[[], None], *flags: object) -> str:
    """Run a command as `call` does, to its end by one line of error; this line."""
    ended = call(main, *flags)
    assert ended.code == 1 and ended.err.count("\n") == 1, ended.err
    return ended.err


def train(data_root: Path, folder: Path, *flags: object) -> dict[str, Any]:
    """Pre-train a small run; its newest checkpoint."""
    import pretrain  # here, because few tests need it

    succeed(pretrain.main, *pretraining(data_root, folder, *flags))
    return checkpoint.load(checkpoint.newest(folder))


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), {"scalars": 0, "images": 0, "tensors": 0}).Reload()


def curves(folder: Path) -> dict[str, list[float]]:
    """{tag: values} of a run's TensorBoard scalars."""
    run = events(folder)
    return {tag: [event.value for event in run.Scalars(tag)] for tag in run.Tags()["scalars"]}


def start_pretraining(flags: list[str], errors: Path) -> multiprocessing.Process:
    """Start pretrain.py on the CPU in a process of its own, whose stderr becomes a file."""
    process = FORKSERVER.Process(target=_pretrain, args=(flags, errors))
    process.start()
    return process


def _pretrain(flags: list[str], errors: Path) -> None:
    import pretrain

    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    with open(os.devnull, "w") as nothing, errors.open("w") as file:
        os.dup2(nothing.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    torch.set_num_threads(1)
    common.run(lambda: pretrain.main(flags))


def run_ranks(
    world_size: int, function: Callable, *args: Any, environment: dict | None = None
) -> list:
    """What `function(*args)` returns on each rank; on GPUs with CUDA_VISIBLE_DEVICES."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    environment = {  # that of torchrun
        "CUDA_VISIBLE_DEVICES": "",
        "WORLD_SIZE": str(world_size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # the test holds the store
        "TORCHELASTIC_RESTART_COUNT": "0",  # older versions of torch ask for it
    } | (environment or {})
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.start_processes(
            _rank, (environment, folder, function, args), world_size, start_method="forkserver"
        )
        files = [Path(folder, f"{rank}.pt") for rank in range(world_size)]
        return [torch.load(file, weights_only=True) for file in files]


def _rank(rank: int, environment: dict, folder: str, function: Callable, args: tuple) -> None:
    os.environ |= environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    torch.set_num_threads(1)
    torch.save(function(*args), Path(folder, f"{rank}.pt"))
    distributed.stop()
