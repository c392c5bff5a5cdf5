"""A new encoder with batch norm, declared in net/methods.py, is trained and evaluated."""

import json

import pytest
import torch

import action_classification
import action_retrieval
import pretrain
from net import MODALITIES, methods
from tests.encoders import graph_encoder
from tests.runs import call
from tools.evaluation import encoders
from tools.training import checkpoint

SIZES = ("--hidden-size", 16, "--projector-width", 24, "--batch-size", 12)
RUN = ("--epochs", 3, "--schedule", "--protocol", "cross_subject", "--pre-dataset", "ntu60")


@pytest.fixture
def declared(monkeypatch):
    monkeypatch.setitem(methods.ENCODERS, "graph", graph_encoder)


@pytest.mark.parametrize("method", methods.METHODS)
def test_it_is_pretrained_evaluated_and_finetuned(declared, data_root, tmp_path, method):
    run = tmp_path / "run"
    flags = ("--data-root", data_root, "--encoder", "graph", "--method", method)
    done = call(pretrain.main, *flags, *SIZES, *RUN, "--checkpoint-path", run)
    assert done.code == 0, done.err
    saved = checkpoint.load(checkpoint.newest(run))
    assert saved["settings"]["encoder"] == "graph"
    # Two steps an epoch; the monitor's looks after epochs 0 and 3 are in eval mode.
    assert saved["model"]["encoder.norm.num_batches_tracked"] == 3 * 2
    here = ("--checkpoint-path", run)
    taught = methods.METHODS[method].modalities  # what evaluation reads if it is told nothing else
    kind = "" if taught == MODALITIES else "_" + "_".join(taught)
    for command, flags, name in (
        (action_classification.main, ("--modalities", "joint"), "recognition_joint"),
        (
            action_classification.main,
            ("--finetune", "--epochs", 2),
            f"recognition{kind}_finetune_epochs2",
        ),
        (action_retrieval.main, (), f"retrieval{kind}"),
        (action_retrieval.main, ("--pretrained", "random"), f"retrieval{kind}_random"),
    ):
        done = call(command, *here, *flags)
        assert done.code == 0, done.err
        result = json.loads((run / f"{name}.json").read_text())
        assert result["pretraining"]["encoder"] == "graph"
    encoder = encoders.load_encoder(run)
    assert type(encoder).__name__ == "GraphEncoder" and not encoder.training
    assert torch.equal(encoder.norm.running_mean, saved["model"]["encoder.norm.running_mean"])


def test_a_run_of_an_encoder_that_is_not_declared_is_one_line(declared, data_root, tmp_path):
    flags = ("--data-root", data_root, "--encoder", "graph", "--checkpoint-path", tmp_path)
    assert call(pretrain.main, *flags, *SIZES, *RUN, "--epochs", 1).code == 0
    del methods.ENCODERS["graph"]
    done = call(action_retrieval.main, "--checkpoint-path", tmp_path)
    assert done.code == 1 and done.err.count("\n") == 1
    assert "--encoder graph" in done.err and "net/methods.py" in done.err
