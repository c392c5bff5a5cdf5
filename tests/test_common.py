"""Errors of one line, and files that are written atomically."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import common
from common import UserError, atomic
from tests.runs import call


def test_a_mistake_is_one_line_and_exit_code_1():
    for error in (UserError("--lr is\nwrong"), FileNotFoundError(2, "missing", "a.npy")):

        def main(error=error):
            raise error

        main.__module__ = __name__
        done = call(main)
        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
        assert done.err.startswith("error: ")
    assert common.run(lambda: None) is None


def test_a_terminal_that_is_not_utf_8_ends_no_command():
    program = "import common; common.run(lambda: print('top-1 – 50 %'))"
    command = [sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    root = Path(common.__file__).parent
    assert subprocess.check_output(command, cwd=root, env=environment) == b"top-1 ? 50 %\n"


def test_a_file_and_a_folder_have_their_name_when_they_are_whole(tmp_path):
    with atomic(tmp_path / "new" / "a.txt") as part:
        part.write_text("whole")
        assert not (tmp_path / "new" / "a.txt").exists()
    assert (tmp_path / "new" / "a.txt").read_text() == "whole"
    with atomic(tmp_path / "folder") as part:
        part.mkdir()
        (part / "b").touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["b"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "full")])
def test_a_failure_leaves_the_older_file(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("older")
    with pytest.raises(type(error)) as raised, atomic(path) as part:
        part.write_text("half")
        raise error
    assert path.read_text() == "older" and [*tmp_path.iterdir()] == [path]
    assert isinstance(error, KeyboardInterrupt) or raised.value.filename == str(path)
