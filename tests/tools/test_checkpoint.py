"""What `python -m tools.checkpoint` shows."""

import copy

import pytest
import torch

from tests.runs import call
from tests.tools.saved import parts
from tools import checkpoint as command
from tools.formats import checkpoint
from tools.formats.checkpoint import save


def test_a_checkpoint_explains_itself(tmp_path):
    save(tmp_path, parts(2))
    path = save(tmp_path, parts(3, 7))
    shown = call(command.main, tmp_path)
    assert shown.code == 0 and shown.err == ""
    for text in (
        str(path),
        "after 3 epochs and 7 steps",
        "2 bodies of 25 joints (Kinect v2)",
        f"umurl   {checkpoint.VERSION}",
        str(torch.__version__),
        "frames    1332",
        "sha256    ab12",
        "protocol  cross_subject",
        "loss/total  12.5",
        "schedule         [3, 5]",
        "lr               0.0005",
        "model  144 numbers: encoder 144",
        "in the folder also: checkpoint_0002.pt",
    ):
        assert text in shown.out
    assert call(command.main, path).out.splitlines() == shown.out.splitlines()[:-1]


def test_the_page_hides_what_a_terminal_would_obey(tmp_path):
    content = copy.deepcopy(parts())
    content["settings"]["pre_dataset"] = "\x1b[2Jntu60"
    content["metrics"] = {"\x1b[2J": 1.0}
    assert "\x1b" not in command.page(save(tmp_path, content))


@pytest.mark.parametrize("what", ["nothing", "empty folder", "empty file"])
def test_the_page_of_something_else_is_one_line(tmp_path, what):
    path = tmp_path / "it"
    if what == "empty folder":
        path.mkdir()
    elif what == "empty file":
        path.touch()
    shown = call(command.main, path)
    assert shown.code == 1 and shown.out == ""
    assert shown.err.startswith("error: ") and shown.err.count("\n") == 1
