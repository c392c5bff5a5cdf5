"""A map over worker processes that keeps the order of the items and limits the memory."""

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
AHEAD = 3  # chunks for each worker that may be in work or waiting
QUEUED = 2  # chunks for each other process that wait before this process takes a chunk itself


class WorkerDied(Exception):
    """Another program killed a worker process."""


def usable_cpus() -> int:
    """The number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[Result]:
    """Yield function(item) for each item, in order.

    function, items: must be possible to pickle
    workers: how many processes compute, this process included

    This process computes alone with one worker, or if the system has no semaphores for a pool.
    Raises WorkerDied if a worker is killed, and what `function` raises.
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
                # First give work to the other processes, then yield what is finished. If there is
                # neither to do, this process takes a chunk itself.
                room = len(pending) < AHEAD * workers
                given = sum(not future.done() for future in pending)
                if room and given < QUEUED * (workers - 1) and (chunk := next(chunks, None)):
                    with _ctrl_c_later():  # workers start here and inherit the blocked signal
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


def _start() -> None:
    # In a worker: leave Ctrl-C to the parent, and end if the parent is killed.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def end_with_parent() -> None:
    """In a process that another one started: end as soon as that one is gone, killed or not."""

    def watch() -> None:
        parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _apply(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [function(item) for item in items]


class _Packed(NamedTuple):
    """Pickled results and the file with their arrays, whose sizes are in bytes."""

    pickled: bytes
    path: str
    sizes: list[int]


def _apply_and_pack(
    function: Callable[[Item], Result], items: Sequence[Item], folder: str
) -> _Packed:
    # In a worker: arrays go to the parent through a file, which is faster than a pipe.
    results, arrays = _apply(function, items), []
    pickled = pickle.dumps(results, protocol=5, buffer_callback=lambda a: arrays.append(a.raw()))
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        file.writelines(arrays)
    return _Packed(pickled, file.name, [array.nbytes for array in arrays])


def _results(future: Future) -> list:
    # What `_apply` returned, in this process or in another.
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
