"""A map over worker processes that keeps the order and a bound on memory."""

import math
import os
import pickle
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import NamedTuple, TypeVar

Item, Result = TypeVar("Item"), TypeVar("Result")
CHUNK = 16  # items that a worker takes at once
AHEAD = 3  # chunks per worker that may be under way
QUEUED = 2  # chunks per other process that this one gives away before it takes one itself


class WorkerDied(Exception):
    """A worker process was killed from outside."""


def usable_cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[Result]:
    """function(item) for each item, in order, computed by this process and others.

    One worker, or a system without the semaphores that a pool needs, means this process alone.
    Raises WorkerDied if a worker is killed, and whatever function raises.
    """
    workers = min(workers, math.ceil(len(items) / CHUNK))
    pool = _pool(workers - 1) if workers > 1 else None
    if pool is None:
        yield from map(function, items)
        return
    chunks = (items[i : i + CHUNK] for i in range(0, len(items), CHUNK))
    pending: deque[Future] = deque()
    with tempfile.TemporaryDirectory() as folder:
        try:
            while True:
                # Others get something to do first; then what is due goes out; only then this
                # process takes a chunk itself.
                room = len(pending) < AHEAD * workers
                given = sum(not future.done() for future in pending)
                if room and given < QUEUED * (workers - 1) and (chunk := next(chunks, None)):
                    with _ctrl_c_later():  # which workers inherit: they start here
                        pending.append(pool.submit(_apply_and_pack, function, chunk, folder))
                elif pending and pending[0].done():
                    yield from _results(pending.popleft())
                elif room and (chunk := next(chunks, None)):
                    pending.append(Future())
                    pending[-1].set_result(_apply(function, chunk))
                elif pending:
                    yield from _results(pending.popleft())
                else:
                    return
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


class _Packed(NamedTuple):
    """Pickled results and the file with their arrays, whose sizes are in bytes."""

    pickled: bytes
    path: str
    sizes: list[int]


def _apply_and_pack(function: Callable[[Item], Result], items: Sequence[Item], folder: str):
    """In a worker: the results, with arrays by way of a file, which is faster than a pipe."""
    results, arrays = _apply(function, items), []
    pickled = pickle.dumps(results, protocol=5, buffer_callback=lambda a: arrays.append(a.raw()))
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        file.writelines(arrays)
    return _Packed(pickled, file.name, [array.nbytes for array in arrays])


def _results(future: Future) -> list:
    """What `_apply` gave, in this process or another."""
    results = future.result()
    if not isinstance(results, _Packed):
        return results
    pickled, path, sizes = results
    with open(path, "rb") as file:
        arrays = [bytearray(size) for size in sizes]
        for array in arrays:
            file.readinto(array)
    os.unlink(path)
    return pickle.loads(pickled, buffers=arrays)
