"""What `python -m tools.checkpoint` shows."""

import pytest
import torch

from common import UserError
from tests.tools.saved import parts
from tools import checkpoint as command
from tools.training import checkpoint
from tools.training.checkpoint import save


def test_a_checkpoint_explains_itself(tmp_path, capsys):
    save(tmp_path, parts(2))
    path = save(tmp_path, parts(3, 7))
    command.main([str(tmp_path)])
    shown = capsys.readouterr().out
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
        assert text in shown
    command.main([str(path)])
    assert capsys.readouterr().out.splitlines() == shown.splitlines()[:-1]


def test_a_folder_without_a_checkpoint_is_an_error(tmp_path):
    with pytest.raises(UserError, match=str(tmp_path)):
        command.main([str(tmp_path)])
