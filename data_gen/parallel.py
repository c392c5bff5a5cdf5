"""A map over worker processes that keeps the order and a bound on memory."""

import math
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import TypeVar

Item, Result = TypeVar("Item"), TypeVar("Result")
CHUNK = 16  # items that a worker takes at once
AHEAD = 3  # chunks per worker that may be under way


class WorkerDied(Exception):
    """A worker process was killed from outside."""


def usable_cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[Result]:
    """function(item) for each item, in order, computed by worker processes.

    One worker, or a system without the semaphores that a pool needs, means this process.
    Raises WorkerDied if a worker is killed, and whatever function raises.
    """
    workers = min(workers, math.ceil(len(items) / CHUNK))
    pool = _pool(workers) if workers > 1 else None
    if pool is None:
        yield from map(function, items)
        return
    chunks = (items[i : i + CHUNK] for i in range(0, len(items), CHUNK))
    pending: deque = deque()
    try:
        while True:
            while len(pending) < AHEAD * workers and (chunk := next(chunks, None)):
                with _ctrl_c_later():  # which workers inherit: they start here
                    pending.append(pool.submit(_apply, function, chunk))
            if not pending:
                return
            yield from pending.popleft().result()
    except BrokenProcessPool:
        raise WorkerDied("a worker process was killed; is the memory enough?") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _pool(workers: int) -> ProcessPoolExecutor | None:
    try:  # spawn: a fork of a process with threads can hang
        return ProcessPoolExecutor(workers, get_context("spawn"), _start)
    except (OSError, NotImplementedError, ImportError):
        return None


@contextmanager
def _ctrl_c_later() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start():
    """In a worker: leave Ctrl-C to the parent, and end if the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    parent_process().join()
    os._exit(1)


def _apply(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [function(item) for item in items]
