"""Checkpoints of the published code: exact both ways, and nothing runs that a file holds."""

import argparse
import json
import sys
from collections import OrderedDict

import numpy as np
import pytest
import torch

import action_retrieval
from common import UserError
from net.modalities import derive
from net.umurl import Baseline, UmURL
from tests import golden_files
from tests.literal.model import UmURL as LiteralUmURL
from tests.literal.model import adam, train_step
from tests.tiny_run import write_run
from tests.tools.formats.foreign import Opens
from tools.evaluation.encoders import load_encoder
from tools.formats.published_checkpoint import our_name
from tools.training import checkpoint

PE = "module.backbone.ma_encoder.pe.pe"
FUSION = "backbone.mm_fusion.t_fusion.0.weight"
MODELS = ("model_small", "model_deep")


def published(name, prefix="module."):
    """A reference model as a published checkpoint, with made-up moments of the optimizer."""
    golden = golden_files.load(name)
    state = OrderedDict(
        (prefix + key[6:], torch.from_numpy(v if v.dtype == np.int64 else v.astype("float32")))
        for key, v in golden.items()
        if key.startswith("state/")
    )
    learned = [k for k in state if not k.endswith(("pe.pe", "mean", "var", "tracked"))]
    moments = {
        i: {
            "step": torch.tensor(float(i)),
            "exp_avg": torch.full_like(state[key], i + 0.25),
            "exp_avg_sq": torch.full_like(state[key], i + 0.5),
        }
        for i, key in enumerate(learned)
    }
    group = {"lr": 5e-5, "betas": (0.9, 0.999), "params": list(range(len(learned)))}
    optimizer = {"state": moments, "param_groups": [group]}
    return {"epoch": 451, "state_dict": state, "optimizer": optimizer}


def same(a, b):
    """Whether two values are equal bit by bit, with dictionaries in the same order."""
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    return a == b


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("prefix", ["module.", ""])
def test_published_checkpoints_come_back_bit_by_bit(converted, tmp_path, name, prefix):
    theirs = published(name, prefix)
    # Another machine may round the encoding differently; the counter of batches has gone on.
    theirs["state_dict"][prefix + "backbone.ma_encoder.pe.pe"] += 1e-7
    for key in theirs["state_dict"]:
        if key.endswith("num_batches_tracked"):
            theirs["state_dict"][key] += 70_000
    torch.save(theirs, tmp_path / "a.pth.tar")
    heads = golden_files.MODEL_SIZES[name]["num_head"]
    converted("from-published", tmp_path / "a.pth.tar", tmp_path / "run", "--num-head", heads)
    converted("to-published", tmp_path / "run", tmp_path / "deep" / "b.pth.tar")
    back = torch.load(tmp_path / "deep" / "b.pth.tar", weights_only=True)
    assert same(dict(theirs, state_dict=dict(theirs["state_dict"])), back)


@pytest.mark.parametrize("name", MODELS)
def test_published_encoders_give_their_features_from_each_modality(converted, tmp_path, name):
    golden = golden_files.load(name)
    torch.save(published(name), tmp_path / "a.pth.tar")
    heads = golden_files.MODEL_SIZES[name]["num_head"]
    said = converted("from-published", tmp_path / "a.pth.tar", tmp_path / "r", "--num-head", heads)
    assert str(tmp_path / "r" / "checkpoint_0451.pt") in said
    encoder = load_encoder(tmp_path / "r")
    streams = {"j": ("joint",), "b": ("bone",), "m": ("motion",), "u": ("joint", "bone", "motion")}
    for view, (letter, modalities) in enumerate(streams.items(), 1):
        feature = encoder(derive(golden_files.ours(golden[f"view{view}"][0]), modalities))
        expected = torch.from_numpy(golden[f"eval/y_{letter}"])
        torch.testing.assert_close(feature, expected, rtol=1e-4, atol=1e-5)


def test_moments_of_the_optimizer_stay_with_their_weight(converted, tmp_path):
    """One step of a literal model, whose parameters have the published order."""
    torch.manual_seed(0)
    model = LiteralUmURL(8, 1, 1, 12)
    optimizer = adam(model)
    train_step(model, optimizer, torch.randn(4, 6, 3, 64, 25, 2))
    state = {f"module.{k}": v for k, v in model.state_dict().items()}
    theirs = {"epoch": 1, "state_dict": state, "optimizer": optimizer.state_dict()}
    torch.save(theirs, tmp_path / "a.pth.tar")
    converted("from-published", tmp_path / "a.pth.tar", tmp_path / "run")
    ours = checkpoint.load(tmp_path / "run" / "checkpoint_0001.pt")
    moments = {our_name(n): optimizer.state[p]["exp_avg"] for n, p in model.named_parameters()}
    for number, (name, _) in enumerate(UmURL(8, 1, 1, 12).named_parameters()):
        assert torch.equal(ours["optimizer"]["state"][number]["exp_avg"], moments[name])


def test_our_checkpoints_come_back_too(converted, tmp_path, data_root):
    folder = write_run(tmp_path / "run", data_root, num_layer=2)
    converted("to-published", folder, tmp_path / "a.pth.tar")
    theirs = torch.load(tmp_path / "a.pth.tar", weights_only=True)
    model = LiteralUmURL(16, 2, 2, 24)
    model.load_state_dict({k.removeprefix("module."): v for k, v in theirs["state_dict"].items()})
    assert list(theirs["state_dict"]) == [f"module.{k}" for k in model.state_dict()]
    flags = ("--num-head", 2, "--data-root", data_root)
    converted("from-published", tmp_path / "a.pth.tar", tmp_path / "b", *flags)
    before = checkpoint.load(checkpoint.newest(folder))
    after = checkpoint.load(checkpoint.newest(tmp_path / "b"))
    assert same(dict(before["model"]), after["model"])
    clip = torch.randn(2, 3, 64, 25, 2)
    encoder = load_encoder(tmp_path / "b")
    feature = encoder(derive(golden_files.ours(clip.numpy())))
    torch.testing.assert_close(feature, model.backbone.fused(clip), rtol=1e-4, atol=1e-5)


def test_converted_checkpoints_are_evaluated(converted, tmp_path, data_root, monkeypatch):
    torch.save(published("model_small"), tmp_path / "a.pth.tar")
    flags = ("--pre-dataset", "ntu120", "--protocol", "cross_setup", "--data-root", data_root)
    converted("from-published", tmp_path / "a.pth.tar", tmp_path / "run", *flags)
    monkeypatch.setattr(sys, "argv", ["x", "--checkpoint-path", str(tmp_path / "run")])
    action_retrieval.main()
    found = json.loads((tmp_path / "run" / "retrieval.json").read_text())
    assert (found["dataset"], found["protocol"]) == ("ntu120", "cross_setup")
    assert (found["pretraining"]["method"], found["pretraining"]["epochs"]) == ("umurl", 451)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.pop("optimizer"),
        lambda s: s["state_dict"].pop("module.b_projector.6.bias"),
        lambda s: s["state_dict"].update({"module.head": torch.ones(2)}),
        lambda s: s["state_dict"].update({f"module.{FUSION}": torch.ones(8)}),
        lambda s: s["state_dict"][PE].add_(1),
        lambda s: s["state_dict"]["module.j_projector.0.bias"].fill_(torch.nan),
        lambda s: s["optimizer"]["param_groups"].append({"params": [0]}),
    ],
)
def test_what_is_no_published_checkpoint_is_refused(converted, tmp_path, change):
    theirs = published("model_small")
    change(theirs)
    torch.save(theirs, tmp_path / "a.pth.tar")
    with pytest.raises(UserError, match=str(tmp_path)):
        converted("from-published", tmp_path / "a.pth.tar", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_files_that_would_run_code_and_other_methods_are_refused(converted, tmp_path):
    evil = Opens(str(tmp_path / "ran"))
    torch.save(published("model_small") | {"more": evil}, tmp_path / "a.pth.tar")
    with pytest.raises(UserError, match=r"io\.open"):
        converted("from-published", tmp_path / "a.pth.tar", tmp_path / "run")
    assert not (tmp_path / "ran").exists()
    torch.save(published("model_small") | {"args": argparse.Namespace(lr=1)}, tmp_path / "c.tar")
    with pytest.raises(UserError, match=r"argparse\.Namespace"):
        converted("from-published", tmp_path / "c.tar", tmp_path / "run")
    torch.save(published("model_small"), tmp_path / "b.pth.tar")
    with pytest.raises(UserError, match="--num-head 3"):
        converted("from-published", tmp_path / "b.pth.tar", tmp_path / "run", "--num-head", 3)
    folder = write_run(tmp_path / "baseline", model=Baseline(16, 2, 1, 24))
    with pytest.raises(UserError):
        converted("to-published", folder, tmp_path / "c")
