import os
import signal
import time

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
