"""A new encoder with batch norm, declared in net/methods.py, is trained and evaluated."""

import json

import pytest
import torch

import action_classification
import action_retrieval
import pretrain
from net import MODALITIES, methods
from tests.encoders import GraphEncoder
from tests.runs import call, pretraining
from tools.evaluation import encoders
from tools.training import checkpoint


@pytest.mark.parametrize("method", ["umurl", "umurl_pair", "baseline", "joint"])
def test_it_is_pretrained_evaluated_and_finetuned(data_root, tmp_path, monkeypatch, method):
    monkeypatch.setitem(
        methods.ENCODERS, "graph", lambda size, heads, layers, layout: GraphEncoder(size, layout)
    )
    flags = ("--encoder", "graph", "--method", method, "--epochs", 3, "--monitor-every", 3)
    done = call(pretrain.main, *pretraining(data_root, tmp_path, *flags))
    assert done.code == 0, done.err
    saved = checkpoint.load(checkpoint.newest(tmp_path))
    assert saved["settings"]["encoder"] == "graph"
    # Two steps an epoch; the monitor's looks after epochs 0 and 3 are in eval mode.
    assert saved["model"]["encoder.norm.num_batches_tracked"] == 3 * 2
    taught = methods.METHODS[method].modalities  # what evaluation reads by default
    kind = "" if taught == MODALITIES else "_" + "_".join(taught)
    finetuned = f"recognition{kind}_finetune_epochs2"
    for main, name, *flags in (
        (action_classification.main, "recognition_joint", "--modalities", "joint"),
        (action_classification.main, finetuned, "--finetune", "--epochs", 2),
        (action_retrieval.main, f"retrieval{kind}"),
    ):
        done = call(main, "--checkpoint-path", tmp_path, *flags)
        assert done.code == 0, done.err
        result = json.loads((tmp_path / f"{name}.json").read_text())
        assert result["pretraining"]["encoder"] == "graph"
    encoder = encoders.load_encoder(tmp_path)
    assert type(encoder) is GraphEncoder and not encoder.training
    assert torch.equal(encoder.norm.running_mean, saved["model"]["encoder.norm.running_mean"])

    del methods.ENCODERS["graph"]
    done = call(action_retrieval.main, "--checkpoint-path", tmp_path)
    assert done.code == 1 and done.err.count("\n") == 1
    assert "--encoder graph" in done.err and "net/methods.py" in done.err
