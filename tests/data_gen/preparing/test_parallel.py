import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future
from multiprocessing import parent_process
from pathlib import Path

import numpy as np
import pytest

from data_gen.preparing import parallel
from data_gen.preparing.parallel import CHUNK, WorkerDied, ordered_map


def square_after_a_while(item: int) -> tuple[int, int]:
    time.sleep(0.002 * (item % 3))
    return item**2, os.getpid()


def die_after_20(item: int) -> int:
    time.sleep(0.002)
    if item > 20 and parent_process():
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def fail_at_20(item: int) -> int:
    if item == 20:
        raise ZeroDivisionError
    return item


def test_results_come_in_order_from_several_processes():
    items = range(5 * CHUNK + 3)
    results = list(ordered_map(square_after_a_while, items, 2))
    assert [result for result, _ in results] == [item**2 for item in items]
    assert len({process for _, process in results} | {os.getpid()}) == 2


def some_arrays(item: int) -> tuple[np.ndarray | None, ...]:
    time.sleep(0.002)
    clip = np.full((item % 7, 2, 3), item, np.float32)
    return clip, None, np.array(item), np.asfortranarray(np.full((2, 3), item)), clip[:0]


def test_arrays_come_whole_and_by_files_that_do_not_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    items = range(9 * CHUNK)
    for item, found in zip(items, ordered_map(some_arrays, items, 2), strict=True):
        assert len(list(tmp_path.rglob("*"))) <= 2 * parallel.AHEAD + 1
        for array, expected in zip(found, some_arrays(item), strict=True):
            np.testing.assert_array_equal(array, expected)
        found[0][:] = 0  # writable
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("items", "workers"), [(3 * CHUNK, 1), (CHUNK, 2), (0, 2)])
def test_one_worker_or_little_work_stays_in_this_process(items, workers):
    results = list(ordered_map(square_after_a_while, range(items), workers))
    assert [result for result, _ in results] == [item**2 for item in range(items)]
    assert {process for _, process in results} <= {os.getpid()}


def test_a_system_without_semaphores_stays_in_this_process(monkeypatch):
    def no_pool(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(parallel, "ProcessPoolExecutor", no_pool)
    results = list(ordered_map(square_after_a_while, range(3 * CHUNK), 2))
    assert {process for _, process in results} == {os.getpid()}


@pytest.mark.parametrize("delay", [0, 2, 100])
def test_no_more_than_a_bounded_number_of_items_is_under_way(monkeypatch, delay):
    begun = []

    def number(item):
        begun.append(item)
        return item

    class Slow(Future):
        """A future that is done after a few calls of `done`; `result` waits."""

        asked = 0

        def done(self):
            self.asked += 1
            return self.asked > delay

    class Pool:
        def submit(self, apply, *arguments):
            future = Slow()
            future.set_result(apply(*arguments))
            return future

        def shutdown(self, cancel_futures):
            begun.append("end")

    monkeypatch.setattr(parallel, "_pool", lambda workers: Pool())
    results = ordered_map(number, range(1000 * CHUNK), 2)
    for taken, result in enumerate(results, 1):
        assert result == taken - 1
        assert len(begun) <= taken + CHUNK * (2 * parallel.AHEAD + 1)
        if taken == 100:
            break
    results.close()
    assert begun[-1] == "end"


def test_a_killed_worker_is_an_error_and_no_hang():
    with pytest.raises(WorkerDied, match="a worker process was killed"):
        list(ordered_map(die_after_20, range(10 * CHUNK), 2))


def test_what_the_function_raises_comes_through():
    with pytest.raises(ZeroDivisionError):
        list(ordered_map(fail_at_20, range(10 * CHUNK), 2))


# ------------------------------------------------ what becomes of workers that wait for work

SCRIPT = """
import os, signal, sys, time
from data_gen.preparing.parallel import CHUNK, ordered_map

if __name__ == "__main__":
    try:
        for result in ordered_map(abs, range(100 * CHUNK), 2):
            time.sleep(0.5)  # until the workers have done all that is under way
            {signal}
    except KeyboardInterrupt:
        sys.exit("interrupted")
"""


@pytest.fixture
def run(tmp_path):
    """Run SCRIPT in its own process group; return exit code and standard error."""

    def run(signal):
        (tmp_path / "script.py").write_text(SCRIPT.format(signal=signal))
        process = subprocess.Popen(
            [sys.executable, tmp_path / "script.py"],
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path(parallel.__file__).parents[2])},
        )
        code = process.wait(30)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                return code, process.stderr.read()
            time.sleep(0.02)
        os.killpg(process.pid, 9)
        pytest.fail("the workers live on")

    return run


def test_ctrl_c_reaches_this_process_only(run):
    assert run("os.killpg(0, signal.SIGINT)") == (1, "interrupted\n")


def test_workers_end_with_a_process_that_is_killed(run):
    assert run("os.kill(os.getpid(), signal.SIGKILL)")[0] == -signal.SIGKILL
