"""Errors of one line, and files that are written atomically."""

import errno
import io
import sys

import pytest

import common
from common import UserError, atomic


@pytest.mark.parametrize(
    "error", [UserError("--lr is\nwrong"), FileNotFoundError(2, "no", "a.npy")]
)
def test_a_mistake_is_one_line_and_exit_code_1(error, capsys):
    def main():
        raise error

    with pytest.raises(SystemExit) as ended:
        common.run(main)
    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (1, "", 1) and err.startswith("error: ")


def test_a_terminal_that_is_not_utf8_ends_no_command(monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    common.run(lambda: print("95 % → done", flush=True))
    assert terminal.buffer.getvalue() == b"95 % ? done\n"


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
    with pytest.raises(type(error)), atomic(path) as part:
        part.write_text("half")
        raise error
    assert path.read_text() == "older" and [*tmp_path.iterdir()] == [path]
