"""A new encoder with batch norm, declared in net/methods.py, is trained and evaluated."""

import json

import pytest
import torch

import action_classification
import action_retrieval
from net import MODALITIES, methods
from tests.encoders import GraphEncoder
from tests.runs import refusal, succeed, train
from tools.evaluation import encoders


@pytest.mark.parametrize("method", ["umurl", "umurl_pair", "baseline", "joint"])
def test_it_is_pretrained_evaluated_and_finetuned(data_root, tmp_path, monkeypatch, method):
    monkeypatch.setitem(
        methods.ENCODERS, "graph", lambda size, heads, layers, layout: GraphEncoder(size, layout)
    )
    flags = ("--encoder", "graph", "--method", method, "--epochs", 3, "--monitor-every", 3)
    saved = train(data_root, tmp_path, *flags)
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
        succeed(main, "--checkpoint-path", tmp_path, *flags)
        result = json.loads((tmp_path / f"{name}.json").read_text())
        assert result["pretraining"]["encoder"] == "graph"
    encoder = encoders.load_encoder(tmp_path)
    assert type(encoder) is GraphEncoder and not encoder.training
    assert torch.equal(encoder.norm.running_mean, saved["model"]["encoder.norm.running_mean"])

    del methods.ENCODERS["graph"]
    error = refusal(action_retrieval.main, "--checkpoint-path", tmp_path)
    assert "--encoder graph" in error and "net/methods.py" in error
