"""A whole run with its report."""

import pytest
from torch.utils.tensorboard import SummaryWriter

import action_classification
import action_retrieval
from tests.runs import call
from tests.tiny_run import write_run
from tests.tools.report.pages import LOSSES
from tools import tsne
from tools.report import __main__ as report


@pytest.fixture(scope="package")
def run(tmp_path_factory, data_root):
    """A whole run: checkpoint, curves, recognition, retrieval, clusters and report."""
    folder = write_run(tmp_path_factory.mktemp("runs") / "tiny", data_root)
    with SummaryWriter(folder) as writer:
        for step, loss in enumerate(LOSSES):
            writer.add_scalar("loss/total", loss, 10 * step)
    where = ("--checkpoint-path", folder)
    made = [
        call(action_classification.main, *where),
        call(action_retrieval.main, *where),
        call(action_retrieval.main, *where, "--pretrained", "random"),
        call(tsne.main, "--checkpoint", folder, "--classes", 3),
        call(report.main, folder, "--queries", 10),
    ]
    assert [done.code for done in made] == [0] * 5, made
    return folder
