"""Checkpoints of the published code: exact both ways, and nothing runs that a file holds."""

import argparse
import json
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
from tests.runs import succeed
from tests.tiny_run import write_run
from tests.tools.formats.converting import converted
from tests.tools.formats.foreign import Opens
from tools.evaluation.encoders import load_encoder
from tools.formats.published_checkpoint import our_name
from tools.training import checkpoint

PE = "module.backbone.ma_encoder.pe.pe"
FUSION = "backbone.mm_fusion.t_fusion.0.weight"


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


def run_of(folder, theirs, *flags):
    """Convert a published checkpoint; return the folder of its run, which is in `folder`."""
    torch.save(theirs, folder / "a.pth.tar")
    converted("from-published", folder / "a.pth.tar", folder / "run", *flags)
    return folder / "run"


@pytest.mark.parametrize("name", golden_files.MODEL_SIZES)
@pytest.mark.parametrize("prefix", ["module.", ""])
def test_published_checkpoints_come_back_bit_by_bit(tmp_path, name, prefix):
    theirs = published(name, prefix)
    # Another machine may round the encoding differently; the counter of batches has gone on.
    theirs["state_dict"][prefix + "backbone.ma_encoder.pe.pe"] += 1e-7
    for key in theirs["state_dict"]:
        if key.endswith("num_batches_tracked"):
            theirs["state_dict"][key] += 70_000
    run = run_of(tmp_path, theirs, "--num-head", golden_files.MODEL_SIZES[name]["num_head"])
    converted("to-published", run, tmp_path / "deep" / "b.pth.tar")
    back = torch.load(tmp_path / "deep" / "b.pth.tar", weights_only=True)
    assert same(dict(theirs, state_dict=dict(theirs["state_dict"])), back)


def test_moments_of_the_optimizer_stay_with_their_weight(tmp_path):
    """One step of a literal model, whose parameters have the published order."""
    torch.manual_seed(0)
    model = LiteralUmURL(8, 1, 1, 12)
    optimizer = adam(model)
    train_step(model, optimizer, torch.randn(4, 6, 3, 64, 25, 2))
    state = {f"module.{k}": v for k, v in model.state_dict().items()}
    run = run_of(tmp_path, {"epoch": 1, "state_dict": state, "optimizer": optimizer.state_dict()})
    ours = checkpoint.load(run / "checkpoint_0001.pt")
    moments = {our_name(n): optimizer.state[p]["exp_avg"] for n, p in model.named_parameters()}
    for number, (name, _) in enumerate(UmURL(8, 1, 1, 12).named_parameters()):
        assert torch.equal(ours["optimizer"]["state"][number]["exp_avg"], moments[name])


def test_our_checkpoints_come_back_too(tmp_path):
    folder = write_run(tmp_path / "ours", num_layer=2)
    converted("to-published", folder, tmp_path / "b.pth.tar")
    theirs = torch.load(tmp_path / "b.pth.tar", weights_only=True)
    model = LiteralUmURL(16, 2, 2, 24)
    model.load_state_dict({k.removeprefix("module."): v for k, v in theirs["state_dict"].items()})
    assert list(theirs["state_dict"]) == [f"module.{k}" for k in model.state_dict()]
    back = run_of(tmp_path, theirs, "--num-head", 2)
    before, after = (checkpoint.load(checkpoint.newest(run)) for run in (folder, back))
    assert same(dict(before["model"]), after["model"])
    clip = torch.randn(2, 3, 64, 25, 2)
    feature = load_encoder(back)(derive(golden_files.ours(clip.numpy())))
    torch.testing.assert_close(feature, model.backbone.fused(clip), rtol=1e-4, atol=1e-5)


def test_converted_checkpoints_are_evaluated(tmp_path, data_root):
    flags = ("--pre-dataset", "ntu120", "--protocol", "cross_setup", "--data-root", data_root)
    run = run_of(tmp_path, published("model_small"), *flags)
    succeed(action_retrieval.main, "--checkpoint-path", run)
    found = json.loads((run / "retrieval.json").read_text())
    assert (found["dataset"], found["protocol"]) == ("ntu120", "cross_setup")
    assert (found["pretraining"]["method"], found["pretraining"]["epochs"]) == ("umurl", 451)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda s: s.pop("optimizer"), "'optimizer'"),
        (lambda s: s["state_dict"].pop("module.b_projector.6.bias"), "projectors.bone.6.bias"),
        (lambda s: s["state_dict"].update({"module.head": torch.ones(2)}), "'head'"),
        (lambda s: s["state_dict"].update({f"module.{FUSION}": torch.ones(8)}), "[16, 150]"),
        (lambda s: s["state_dict"][PE].add_(1), "pe.pe"),
        (lambda s: s["state_dict"]["module.j_projector.0.bias"].fill_(torch.nan), "joint.0.bias"),
        (lambda s: s["optimizer"]["param_groups"].append({"params": [0]}), "'optimizer'"),
        # What would run code, and what might.
        (lambda s: s.update(more=Opens("ran")), "io.open"),
        (lambda s: s.update(args=argparse.Namespace(lr=1)), "argparse.Namespace"),
    ],
)
def test_what_is_no_published_checkpoint_is_refused(tmp_path, monkeypatch, change, named):
    monkeypatch.chdir(tmp_path)
    theirs = published("model_small")
    change(theirs)
    with pytest.raises(UserError, match=str(tmp_path)) as refused:
        run_of(tmp_path, theirs)
    assert named in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth.tar"]


def test_other_heads_and_other_methods_are_refused(tmp_path):
    with pytest.raises(UserError, match="--num-head 3"):
        run_of(tmp_path, published("model_small"), "--num-head", 3)
    folder = write_run(tmp_path / "baseline", model=Baseline(16, 2, 1, 24))
    with pytest.raises(UserError):
        converted("to-published", folder, tmp_path / "c")
