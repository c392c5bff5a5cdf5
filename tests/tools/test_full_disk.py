"""A disk that is full ends each command that writes with one line, and leaves nothing."""

import contextlib
import resource
from collections.abc import Iterator

import pytest

from tests.golden_files import GOLDEN
from tests.runs import call
from tests.tiny_run import write_run
from tools import convert, export, method_figure, tsne, visualize

RECORDING = GOLDEN / "skeletons" / "S001C001P001R001A001.skeleton"
COMMANDS = {
    "arrays": (convert, "to-arrays", "{data}/ntu60", "{out}"),
    "published": (convert, "to-published", "{run}", "{out}"),
    "run": (convert, "from-published", "{published}", "{out}", "--num-head", 2),
    "export": (export, "--checkpoint-path", "{run}", "--out", "{out}.pt2"),
    "gif": (visualize, RECORDING, "--out", "{out}.gif"),
    "png": (visualize, RECORDING, "--out", "{out}.png"),
    "t-SNE": (tsne, "--checkpoint", "{run}", "--out", "{out}", "--classes", 3),
    "figure": (method_figure, RECORDING, "--out", "{out}.svg"),
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
