import os
import signal
import subprocess
import sys
import time
from itertools import islice
from multiprocessing import parent_process

import pytest

from common import UserError
from data_gen import gendata
from data_gen.gendata import AHEAD, CHUNK, ordered_map


def square_after_a_while(item: int) -> tuple[int, int]:
    time.sleep(0.002 * (item % 3))
    return item**2, os.getpid()


def die_at_20(item: int) -> int:
    if item == 20 and parent_process():
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_results_come_in_order_from_several_processes():
    items = range(5 * CHUNK + 3)
    results = list(ordered_map(square_after_a_while, items, 2))
    assert [result for result, _ in results] == [item**2 for item in items]
    assert os.getpid() not in {process for _, process in results}


def test_the_look_ahead_is_bounded():
    class Items(list):
        furthest = 0

        def __getitem__(self, part):
            self.furthest = max(self.furthest, part.stop)
            return super().__getitem__(part)

    items = Items(range(1000 * CHUNK))
    results = ordered_map(abs, items, 2)
    assert [*islice(results, CHUNK)] == [*range(CHUNK)]
    assert items.furthest <= CHUNK * (2 * AHEAD + 2)
    results.close()


def test_a_killed_worker_is_an_error_and_no_hang():
    with pytest.raises(UserError):
        list(ordered_map(die_at_20, range(10 * CHUNK), 2))


SCRIPT = """
import os, sys, time
from data_gen.gendata import CHUNK, ordered_map

if __name__ == "__main__":
    for result in ordered_map(abs, range(100 * CHUNK), 2):
        time.sleep(0.5)  # until the workers wait for work
        os.killpg(0, 2) if sys.argv[1] == "2" else os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_their_parent(tmp_path, number):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, tmp_path / "script.py", str(int(number))]
    options = {"stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    env = {**os.environ, "PYTHONPATH": str(gendata.DATA.parent)}
    process = subprocess.Popen(command, env=env, **options)
    _, error = process.communicate(timeout=60)  # the workers hold the pipe open while they live
    assert process.returncode == -number
    assert error.count("Traceback") == (number == signal.SIGINT)  # none of the workers'
