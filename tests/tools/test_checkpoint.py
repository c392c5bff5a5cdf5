"""What `python -m tools.checkpoint` shows."""

from torch import nn

from tests.runs import succeed
from tests.tiny_run import write_run
from tools import checkpoint as command
from tools.training import checkpoint


def test_a_checkpoint_explains_itself(tmp_path):
    model = nn.ModuleDict({"encoder": nn.Linear(8, 16)})
    write_run(tmp_path, model=model, more={"schedule": [3, 5]})
    later = {"step": 7, "data": {"frames": 1332}, "metrics": {"loss/total": 12.5}}
    path = checkpoint.save(tmp_path, checkpoint.load(checkpoint.newest(tmp_path)) | later)
    shown = succeed(command.main, tmp_path)
    for text in (
        str(path),
        "after 3 epochs and 7 steps",
        "2 bodies of 25 joints (Kinect v2)",
        f"umurl   {checkpoint.VERSION}",
        "frames  1332",
        "loss/total  12.5",
        "schedule         [3, 5]",
        "model  144 numbers: encoder 144",
    ):
        assert text in shown
    assert succeed(command.main, path) == shown
