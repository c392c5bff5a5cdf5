"""A disk that is full ends each command that writes with one line, and leaves nothing."""

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.runs import ROOT, call
from tests.tiny_run import write_run
from tools import convert, export

COMMANDS = {
    "arrays": (convert, "to-arrays", "{data}/ntu60", "{out}"),
    "published": (convert, "to-published", "{run}", "{out}"),
    "run": (convert, "from-published", "{published}", "{out}", "--num-head", 2),
    "export": (export, "--checkpoint-path", "{run}", "--out", "{out}.pt2"),
}


@contextlib.contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file grows over a size, in bytes: a write beyond it fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, data_root, command):
    run = write_run(tmp_path / "run", data_root)
    convert_back = ("to-published", run, tmp_path / "published")
    if command == "run":
        assert call(convert.main, *convert_back).code == 0
    before = sorted(tmp_path.rglob("*"))
    places = {"data": data_root, "run": run, "published": tmp_path / "published"}
    module, *words = COMMANDS[command]
    words = [str(word).format(out=tmp_path / "deep" / "out", **places) for word in words]
    with full_disk(1000):
        ended = call(module.main, *words)
    assert ended.code == 1 and ended.err.startswith("error: ") and ended.err.count("\n") == 1
    assert str(tmp_path / "deep" / "out") in ended.err
    assert sorted(tmp_path.rglob("*")) == before
    assert call(module.main, *words).code == 0


# A disk of its own, in which a command runs; then the command's exit code, and what lies there.
SMALL_DISK = 'mount -t tmpfs -o size=200k none "$0" && { "$@"; echo "$?"; ls -A "$0"; }'
# The disk fills up after the command has asked for its size.
UNAWARE = """
from tools import cli, convert
from tools.formats import padded_arrays
padded_arrays.require_space = lambda *_: None
cli.run(convert.main)
"""


def test_a_disk_that_fills_up_meanwhile_ends_no_process_by_a_signal(tmp_path, data_root):
    """As it does under a file that is mapped into memory; a limit on sizes does not show it."""
    namespace = ["unshare", "--map-root-user", "--mount", "bash", "-c"]
    try:
        subprocess.run(
            [*namespace, 'mount -t tmpfs none "$0"', tmp_path], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system lets nobody have a disk of his own")
    convert_arrays = [sys.executable, "-c", UNAWARE, "to-arrays", data_root / "ntu60"]
    done = subprocess.run(
        [*namespace, SMALL_DISK, tmp_path, *convert_arrays, tmp_path / "arrays"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "1\n"
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert str(tmp_path / "arrays") in done.stderr
