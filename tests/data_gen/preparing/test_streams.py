"""Commands whose standard streams are closed, or whose output cannot be written."""

import os
import subprocess
import sys

import pytest

from tests.runs import ROOT

# As a command, with what stumbles over a closed stream: a bar, and the next file that is opened.
COMMAND = """
import os, sys
from tqdm import tqdm
from tools import cli

def main():
    with open(sys.argv[1], "w") as file:
        print("said", flush=True)
        print("complained", file=sys.stderr, flush=True)
        os.write(2, b"from a library")
        for _ in tqdm(range(3)):
            pass
        file.write("content")

cli.run(main)
"""


def shell(command: str) -> subprocess.CompletedProcess:
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT)


@pytest.fixture
def command(tmp_path) -> str:
    (tmp_path / "it.py").write_text(COMMAND)
    return f"PYTHONPATH={ROOT} {sys.executable} {tmp_path / 'it.py'} {tmp_path / 'out'}"


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&-", "<&- >&- 2>&-"])
def test_a_closed_stream_harms_nothing(tmp_path, command, closed):
    done = shell(f"{command} {closed}")
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert (tmp_path / "out").read_text() == "content"
    if closed == "2>&-":
        assert done.stdout == "said\n"


def test_preparing_commands_run_with_closed_streams(tmp_path):
    raw, store = tmp_path / "raw", tmp_path / "store"
    for command, wanted in (
        (f"synthetic.py --out_folder {raw} --subjects 1 --actions 1", raw / "SYNTHETIC.txt"),
        (f"ntu_gendata.py --data_path {raw} --out_folder {store}", store / "ntu60" / "joints.npy"),
    ):
        done = shell(f"{sys.executable} {ROOT}/data_gen/{command} --workers 1 2>&-")
        assert done.returncode == 0 and "Traceback" not in done.stdout and wanted.is_file()


@pytest.mark.parametrize("where", ["> /dev/full", "| true"])
def test_output_that_cannot_be_written_is_one_line(command, where):
    if where == "> /dev/full" and not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    # A reader that is gone before anything is printed.
    where = where.replace("true", "(exec <&-; sleep 0.1)")
    line = command.replace("it.py", "long.py")
    with open(line.split()[2], "w") as file:
        file.write("from tools import cli\ncli.run(lambda: print('x' * 10**6))\n")
    done = shell(f"set -o pipefail; {line} {where}")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
