"""What `python -m tools.checkpoint` shows."""

from tests.tools.saved import parts
from tools import checkpoint as command
from tools.training import checkpoint


def test_a_checkpoint_explains_itself(tmp_path, capsys):
    checkpoint.save(tmp_path, parts(2))
    path = checkpoint.save(tmp_path, parts(3, 7))
    command.main([str(tmp_path)])
    shown = capsys.readouterr().out
    for text in (
        str(path),
        "after 3 epochs and 7 steps",
        "2 bodies of 25 joints (Kinect v2)",
        f"umurl   {checkpoint.VERSION}",
        "frames    1332",
        "loss/total  12.5",
        "schedule         [3, 5]",
        "model  144 numbers: encoder 144",
    ):
        assert text in shown
    command.main([str(path)])
    assert capsys.readouterr().out.splitlines() == shown.splitlines()
