"""Run several ranks in a test. A fork server, which imports torch once, starts their processes."""

import multiprocessing
import os
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from tools.training import distributed

TIMEOUT = 120  # seconds that a test may take, and in which ranks have to meet


def run_ranks(
    world_size: int,
    function: Callable,
    *args: Any,
    on_gpus: bool = False,
    joined: bool = True,
    seconds: float = TIMEOUT,
) -> list[Any]:
    """What `function(process, *args)` returns on each of `world_size` ranks: gloo, on GPUs NCCL.

    Without `joined` it is `function(*args)`, which joins the other ranks itself.

    function: defined in a module, so that multiprocessing can pickle it
    on_gpus: whether each rank has a GPU
    seconds: that it may take at most
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.ranks", "pretrain"])
    store = dist.TCPStore("127.0.0.1", 0, None, True, timedelta(seconds=TIMEOUT))
    with tempfile.TemporaryDirectory() as folder:
        ranks = [
            context.Process(
                target=_work,
                args=(rank, world_size, store.port, folder, function, args, on_gpus, joined),
            )
            for rank in range(world_size)
        ]
        for rank in ranks:
            rank.start()
        for rank in ranks:
            rank.join(seconds)
        codes = [rank.exitcode for rank in ranks]
        for rank in ranks:
            rank.kill()
        assert codes == [0] * world_size, f"exit codes of the ranks: {codes}"
        files = [Path(folder, f"{rank}.pt") for rank in range(world_size)]
        return [torch.load(file, weights_only=True) for file in files]


def _work(
    rank: int,
    world_size: int,
    port: int,
    folder: str,
    function: Callable,
    args: tuple,
    on_gpus: bool,
    joined: bool,
) -> None:
    """One rank, with the environment that torchrun would give it."""
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world_size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # the test holds the store
        "TORCHELASTIC_RESTART_COUNT": "0",  # older versions of torch ask for it
    }
    if not on_gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    torch.set_num_threads(1)
    result = function(distributed.start(), *args) if joined else function(*args)
    torch.save(result, Path(folder, f"{rank}.pt"))
    distributed.stop()
