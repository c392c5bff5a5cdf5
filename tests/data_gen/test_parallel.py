import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_gen import parallel
from data_gen.parallel import CHUNK, WorkerDied, ordered_map


def square_after_a_while(item: int) -> tuple[int, int]:
    time.sleep(0.002 * (item % 3))
    return item**2, os.getpid()


def die_at_20(item: int) -> int:
    if item == 20:
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
    processes = {process for _, process in results}
    assert 1 <= len(processes) <= 2
    assert os.getpid() not in processes


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


def test_no_more_than_a_bounded_number_of_items_is_under_way(monkeypatch):
    submitted = []

    class Done:
        def __init__(self, result):
            self.result = lambda: result

    class Pool:
        def submit(self, apply, function, chunk):
            submitted.extend(chunk)
            return Done(apply(function, chunk))

        def shutdown(self, cancel_futures):
            submitted.append("end")

    monkeypatch.setattr(parallel, "_pool", lambda workers: Pool())
    results = ordered_map(abs, range(1000 * CHUNK), 2)
    for taken, result in enumerate(results, 1):
        assert result == taken - 1
        assert len(submitted) <= taken + CHUNK * (2 * parallel.AHEAD + 1)
        if taken == 100:
            break
    results.close()
    assert submitted[-1] == "end"


def test_a_killed_worker_is_an_error_and_no_hang():
    with pytest.raises(WorkerDied, match="a worker process was killed"):
        list(ordered_map(die_at_20, range(10 * CHUNK), 2))


def test_what_the_function_raises_comes_through():
    with pytest.raises(ZeroDivisionError):
        list(ordered_map(fail_at_20, range(10 * CHUNK), 2))


# ------------------------------------------------ what becomes of workers that wait for work

SCRIPT = """
import os, signal, sys, time
from data_gen.parallel import CHUNK, ordered_map

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
    """Runs SCRIPT in a process group of its own; returns exit code and standard error."""

    def run(signal):
        (tmp_path / "script.py").write_text(SCRIPT.format(signal=signal))
        process = subprocess.Popen(
            [sys.executable, tmp_path / "script.py"],
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path(parallel.__file__).parents[1])},
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
