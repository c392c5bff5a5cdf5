"""Settings beyond the published method: what each does, that it is kept, and that a run goes on."""

import json
import math
import os
import signal
from itertools import pairwise

import numpy as np
import pytest
import torch

import action_retrieval
import pretrain
from feeder.batches import TrainingBatches
from feeder.store import open_store
from feeder.strengths import Strengths
from net.encoder import Encoder, SpatialPositionsEncoder
from net.modalities import derive
from tests.runs import call, pretraining
from tests.test_pretrain import curves
from tools.evaluation.encoders import load_encoder
from tools.formats import checkpoint
from tools.training import run as library
from tools.training.settings import RECIPES, Settings
from tools.training.step import learning_rate

STEPS = 2  # of an epoch of tests.runs.pretraining


def newest(folder) -> dict:
    return checkpoint.load(checkpoint.newest(folder))


# ---- rates


def test_the_published_rate_falls_to_a_tenth_at_each_epoch_of_the_schedule():
    settings = Settings(lr=0.5, schedule=(1, 3), epochs=5)
    rates = [learning_rate(settings, done, 2) for done in range(10)]
    assert rates == pytest.approx([0.5] * 2 + [0.05] * 4 + [0.005] * 4)


def test_warm_up_rises_by_steps_and_a_cosine_falls_to_nothing():
    settings = Settings(lr=1.0, epochs=6, warmup_epochs=2, cosine=True, schedule=(1,))
    rates = [learning_rate(settings, done, 4) for done in range(24)]
    assert rates[:8] == pytest.approx([(i + 1) / 8 for i in range(8)])
    assert rates[8] == 1 and rates[16] == pytest.approx(0.5)
    assert all(a > b for a, b in pairwise(rates[8:])) and 0 < rates[-1] < 0.02
    steps = Settings(lr=1.0, epochs=6, warmup_epochs=1, schedule=(3,))
    assert [learning_rate(steps, done, 2) for done in (0, 1, 2, 6)] == pytest.approx(
        [0.5, 1, 1, 0.1]
    )


def test_a_run_has_these_rates_and_its_end_is_part_of_them(data_root, tmp_path):
    flags = pretraining(data_root, tmp_path / "run", "--cosine", "--warmup-epochs", 1)
    assert call(pretrain.main, *flags, "--epochs", 3).code == 0
    rates = curves(tmp_path / "run")["train/learning_rate"]
    expected = [0.5, 1, 1, *((1 + math.cos(math.pi * i / 4)) / 2 for i in (1, 2, 3))]
    np.testing.assert_allclose(rates, 5e-4 * np.array(expected), rtol=1e-5)
    longer = call(pretrain.main, *flags, "--epochs", 4)
    assert longer.code == 1 and "--epochs is 4 here and was 3" in longer.err


def test_a_recipe_is_saved_with_all_that_it_stands_for(data_root, tmp_path):
    flags = pretraining(data_root, tmp_path / "run", "--epochs", 1, "--recipe", "umurl_plus")
    assert call(pretrain.main, *flags, "--wd", 0.01).code == 0
    saved = newest(tmp_path / "run")["settings"]
    assert {k: saved[k] for k in RECIPES["umurl_plus"]} == RECIPES["umurl_plus"]
    assert (saved["recipe"], saved["wd"]) == ("umurl_plus", 0.01)


def test_decoupled_weight_decay_shrinks_weights_without_a_gradient(data_root, tmp_path):
    """The biases of keys have none, so L2 decay moves them by the rate, decoupled in proportion."""
    weights = {}
    for name, flags in {"l2": (), "decoupled": ("--decoupled-wd",)}.items():
        folder = tmp_path / name
        more = ("--epochs", 1, "--wd", 0.5, "--lr", 0.01, *flags)
        assert call(pretrain.main, *pretraining(data_root, folder, *more)).code == 0
        weights[name] = newest(folder)["model"]["encoder.temporal.fusion.weight"]
    torch.manual_seed(0)
    first = Encoder(8).temporal.fusion.weight.detach()
    moved = [(weights[name] - first * shrink).abs().max() for name, shrink in
             (("l2", 1), ("decoupled", (1 - 0.005) ** STEPS))]  # fmt: skip
    assert all(step <= STEPS * 0.0101 for step in moved)
    assert not torch.equal(weights["l2"], weights["decoupled"])


# ---- the average over the steps


def test_the_average_follows_the_encoder_and_is_what_is_evaluated(data_root, tmp_path, monkeypatch):
    seen, real = [], library.training_step

    def step(training, *arguments):
        scalars = real(training, *arguments)
        seen.append(training.network.encoder.temporal.fusion.weight.detach().clone())
        return scalars

    monkeypatch.setattr(library, "training_step", step)
    flags = ("--epochs", 8, "--average", 0.5, "--lr", 0.01)
    assert call(pretrain.main, *pretraining(data_root, tmp_path / "run", *flags)).code == 0
    torch.manual_seed(0)
    expected = Encoder(8).temporal.fusion.weight.detach()
    for done, weight in enumerate(seen, start=1):
        decay = min(0.5, (1 + done) / (10 + done))
        expected = decay * expected + (1 - decay) * weight
    encoder = load_encoder(tmp_path / "run")
    torch.testing.assert_close(encoder.temporal.fusion.weight, expected)
    saved = newest(tmp_path / "run")
    assert torch.equal(saved["model"]["encoder.temporal.fusion.weight"], seen[-1])
    assert not torch.allclose(seen[-1], expected)


def test_a_run_with_an_average_goes_on_as_if_nothing_had_been(data_root, tmp_path, monkeypatch):
    flags = ("--epochs", 3, "--average", 0.9)
    assert call(pretrain.main, *pretraining(data_root, tmp_path / "whole", *flags)).code == 0
    real, steps = library.training_step, []

    def step(*arguments):
        steps.append(None)
        if len(steps) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)

    monkeypatch.setattr(library, "training_step", step)
    for code in (143, 0):
        assert call(pretrain.main, *pretraining(data_root, tmp_path / "run", *flags)).code == code
    ours, theirs = newest(tmp_path / "run"), newest(tmp_path / "whole")
    for part in ("model", "average"):
        assert all(torch.equal(ours[part][name], w) for name, w in theirs[part].items())
    refused = call(pretrain.main, *pretraining(data_root, tmp_path / "run", "--epochs", 4))
    assert refused.code == 1 and "--average is 0.0 here and was 0.9" in refused.err


@pytest.mark.parametrize("broken", [{"a": 1}, {1: torch.ones(2)}, [], {"a": torch.ones(2)}])
def test_an_average_that_is_none_is_one_line(data_root, tmp_path, broken):
    folder = tmp_path / "run"
    assert call(pretrain.main, *pretraining(data_root, folder, "--epochs", 1)).code == 0
    path = checkpoint.newest(folder)
    torch.save(torch.load(path, weights_only=True) | {"average": broken}, path)
    ended = call(action_retrieval.main, "--checkpoint-path", folder)
    assert ended.code == 1 and ended.err.startswith("error: ") and ended.err.count("\n") == 1


# ---- the model and its views


def test_learned_positions_tell_joints_apart():
    torch.manual_seed(0)
    encoder, views = SpatialPositionsEncoder(8).eval(), torch.randn(3, 64, 2, 25, 3)
    plain = Encoder(8).eval()
    plain.load_state_dict(encoder.state_dict(), strict=False)
    extra = encoder.state_dict().keys() - plain.state_dict().keys()
    assert extra == {"spatial.positions"}
    with torch.no_grad():
        for model, alike in ((plain, True), (encoder, False)):
            found = [
                model(derive(view))[:, 8:] for view in (views, views.flip(2))
            ]  # bodies swapped
            assert torch.allclose(*found, atol=1e-5) == alike


@pytest.mark.parametrize(
    "flags",
    [
        ("--encoder", "spatial_positions"),
        ("--method", "umurl_halves", "--temporal-weight", 0.25),
        ("--method", "umurl_pair", "--yaw", 60, "--tilt", 20, "--fewest-frames", 8),
    ],
)
def test_declared_options_train_go_on_and_are_evaluated(data_root, tmp_path, flags):
    folder = tmp_path / "run"
    for epochs in (1, 2):
        done = call(pretrain.main, *pretraining(data_root, folder, "--epochs", epochs, *flags))
        assert done.code == 0, done.err
    assert all(np.isfinite(values).all() for values in curves(folder).values())
    ended = call(action_retrieval.main, "--checkpoint-path", folder)
    assert ended.code == 0, ended.err


def test_what_was_trained_on_one_modality_is_read_by_it(data_root, tmp_path):
    folder = tmp_path / "run"
    flags = pretraining(data_root, folder, "--method", "bone", "--monitor-every", 1)
    for epochs in (1, 2):  # the second time from a checkpoint
        assert call(pretrain.main, *flags, "--epochs", epochs).code == 0
    looked = curves(folder)["monitor/knn_5"]
    assert call(action_retrieval.main, "--checkpoint-path", folder).code == 0
    result = json.loads((folder / "retrieval_bone.json").read_text())
    assert result["modalities"] == ["bone"] and len(looked) == 3
    assert (
        call(action_retrieval.main, "--checkpoint-path", folder, "--modalities", "joint").code == 0
    )
    assert (folder / "retrieval_joint.json").exists()


def test_a_shared_view_is_the_same_for_all_modalities(data_root):
    store = open_store(data_root, "ntu60")
    strengths = Strengths(shared_view=True)
    batches = (
        TrainingBatches(store, np.arange(6), 6, 0, torch.device("cpu"), strengths=s)
        for s in (strengths, Strengths())
    )
    shared, apart = (next(each.epoch(0)).views() for each in batches)
    assert torch.equal(shared, shared[:1].expand_as(shared))
    assert torch.equal(shared[0], apart[0]) and not torch.equal(shared[1], apart[1])
