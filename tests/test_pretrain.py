"""Pre-training from end to end, in one process: the published trajectory, flags, failures."""

import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import pretrain
from feeder.store import open_store
from net.losses import umurl_loss
from net.methods import METHODS, Method
from tests.golden_files import MODEL_SIZES, golden_model, of
from tests.runs import call, curves, pretraining, refusal, succeed, train
from tests.tiny_store import write_store
from tools.training import checkpoint


class GoldenBatches(list):
    """Used in place of TrainingBatches: the views of the reference figures, step by step."""

    def __init__(self, views: torch.Tensor):  # (steps, 4, B, T, M, V, C)
        rows = np.arange(views.shape[2])
        for step, batch in enumerate(views):
            facts = {"step": step, "rows": rows, "shares": [len(rows)]}
            self.append(SimpleNamespace(views=lambda batch=batch: batch, **facts))

    def epoch(self, epoch, first_step=0):
        return iter(self)


def train_golden(monkeypatch, data_root, folder, name, *flags, steps=None) -> dict:
    """Train the golden model as a user would, on the golden views; returns the trained weights."""
    _, model, views = golden_model(name)
    monkeypatch.setattr(pretrain, "TrainingBatches", lambda *_, **__: GoldenBatches(views[:steps]))
    monkeypatch.setitem(METHODS, "umurl", Method("golden", lambda *_: model, umurl_loss))
    sizes = [w for k, v in MODEL_SIZES[name].items() for w in (f"--{k.replace('_', '-')}", v)]
    return train(data_root, folder, "--epochs", 1, *sizes, *flags)["model"]


def test_weight_decay_is_an_l2_term_of_the_gradient(data_root, tmp_path, monkeypatch):
    _, model, views = golden_model("model_small")
    unimodal, fused, _ = model(views[0])
    umurl_loss(unimodal, fused)["total"].backward()
    before = {k: (p.detach().clone(), p.grad.clone()) for k, p in model.named_parameters()}
    flags = ("--wd", 0.5, "--lr", 0.01)
    trained = train_golden(monkeypatch, data_root, tmp_path, "model_small", *flags, steps=1)
    for key, (weight, grad) in before.items():
        grad = grad + 0.5 * weight
        clear = grad.abs() > 1e-3  # else it may be rounding that decides where the step goes
        expected = weight - 0.01 * grad.sign()  # the first step of Adam (Kingma & Ba 2015)
        torch.testing.assert_close(trained[key][clear], expected[clear], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODEL_SIZES)
def test_training_follows_the_published_trajectory(name, data_root, tmp_path, monkeypatch):
    trained = train_golden(monkeypatch, data_root, tmp_path / "run", name)
    golden = golden_model(name)[0]
    shown = curves(tmp_path / "run")
    regulated = np.add(shown["loss/variance"], shown["loss/covariance"])
    trajectory = [shown["loss/intra"], shown["loss/inter"], regulated, shown["loss/total"]]
    published = golden["train/intra_inter_reg_total"]
    np.testing.assert_allclose(np.transpose(trajectory), published, rtol=1e-4)

    norm = np.sqrt(sum(v**2 for v in of(golden, "grad0_norm/").values()))
    assert shown["train/gradient_norm"][0] == pytest.approx(norm, rel=1e-3)

    after = of(golden, "after/")
    assert len(after) == 5
    for key, weights in after.items():
        # The running means of a batch norm see the bias before it, of which Adam makes steps as
        # large as the learning rate, in whatever direction rounding takes: 5e-4 a step.
        atol = 5e-4 if key.endswith("running_mean") else 0
        error = np.linalg.norm(trained[key].numpy() - weights)
        assert error < 1e-3 * np.linalg.norm(weights) + atol * weights.size**0.5, key


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--hidden-size", 10, "--num-head", 4], "--hidden-size"),
        (["--num-layer", 0], "--num-layer"),
        (["--projector-width", 0], "--projector-width"),
        (["--amp", "fp16"], "--amp fp16"),
        (["--compile", "--no-compile"], "--no-compile"),
        (["--batch-size", 1], "--batch-size"),
        (["--cosine", "--schedule", 3], "--schedule"),
        (["--method", "baseline", "--intra-weight", 3], "--intra-weight"),
        (["--recipe", "none"], "--recipe"),
        (["--resume", "nowhere.pt"], "nowhere.pt"),
    ],
)
def test_a_wrong_flag_is_named_and_nothing_is_written(data_root, tmp_path, flags, named):
    refused = call(pretrain.main, *pretraining(data_root, tmp_path / "run", *flags))
    assert refused.code > 0
    assert named in refused.err and "Traceback" not in refused.err
    assert not (tmp_path / "run").exists()


def test_a_recipe_sets_defaults_and_flags_win(data_root, tmp_path):
    args = pretrain.parse_args(["--recipe", "umurl_plus", "--shortest-crop", "0.5"])
    assert (args.method, args.fewest_frames, args.shortest_crop) == ("umurl_pair", 8, 0.5)
    assert args.invariance_weight == 5.0
    settings = train(data_root, tmp_path, "--recipe", "umurl_plus", "--epochs", 1)["settings"]
    assert settings.items() >= pretrain.RECIPES["umurl_plus"].items()
    assert settings["pre_dataset"] == "ntu60" and settings["schedule"] == [2]


@pytest.mark.parametrize(
    ("flags", "factors"),
    [
        (["--schedule", "1", "2"], [1, 1, 0.1, 0.1, 0.01, 0.01]),
        (["--schedule", "2", "--warmup-epochs", "1"], [0.5, 1, 1, 1, 0.1, 0.1]),
        (["--cosine"], [1, 0.9330127, 0.75, 0.5, 0.25, 0.0669873]),
        (["--cosine", "--warmup-epochs", "1"], [0.5, 1, 1, 0.8535534, 0.5, 0.1464466]),
    ],
)
def test_learning_rates(flags, factors):
    args = pretrain.parse_args(["--epochs", "3", *flags])
    found = [pretrain.learning_rate_factor(args, done, steps=2) for done in range(6)]
    assert found == pytest.approx(factors)


def test_two_stores_train_as_one_and_the_largest_batch_is_printed(data_root, tmp_path):
    flags = ("--pre-dataset", "ntu60", "ntu120", "--mix", 3, 1, "--epochs", 1, "--batch-size", 47)
    said = succeed(pretrain.main, *pretraining(data_root, tmp_path, *flags))
    assert checkpoint.load(checkpoint.newest(tmp_path))["settings"]["mix"] == [3.0, 1.0]
    assert "at most 48 clips" in said


def test_signals_end_the_process_again_after_a_run(data_root, tmp_path):
    pretrain.main(pretraining(data_root, tmp_path, "--epochs", 1))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_the_code_is_that_of_the_start_of_the_run(data_root, tmp_path, monkeypatch):
    commits = iter("abcdefgh")  # one a call, as if the code was committed to all the time
    monkeypatch.setattr(checkpoint, "code_facts", lambda: {"commit": next(commits)})
    for epochs in (2, 3):
        train(data_root, tmp_path, "--epochs", epochs)
    one, two, three = (checkpoint.load(path)["code"] for path in checkpoint.in_folder(tmp_path))
    assert one == two == {"commit": "a"} != three


def test_another_optimizer_with_groups_of_its_own_resumes(data_root, tmp_path, monkeypatch):
    def build(parameters, lr, weight_decay, fused):
        first, *others = parameters
        groups = [{"params": [first], "lr": 10 * lr}, {"params": others}]
        return torch.optim.SGD(groups, lr, momentum=0.9, weight_decay=weight_decay)

    monkeypatch.setattr(torch.optim, "Adam", build)
    whole = train(data_root, tmp_path / "whole", "--schedule", 1, "--epochs", 3)
    for epochs in (1, 3):
        parts = train(data_root, tmp_path / "parts", "--schedule", 1, "--epochs", epochs)
    assert [g["lr"] for g in whole["optimizer"]["param_groups"]] == pytest.approx([5e-4, 5e-5])
    torch.testing.assert_close(parts["model"], whole["model"], rtol=0, atol=0)


def test_a_clip_that_is_not_finite_is_named_and_nothing_is_saved(tmp_path):
    root = write_store(tmp_path / "data")
    joints = np.load(root / "ntu60" / "joints.npy", mmap_mode="r+")
    store = open_store(root, "ntu60")
    row = store.split("cross_subject")[0][3]
    joints[store.start[row] : store.start[row] + store.length[row], 0, 4, 2] = np.nan
    joints.flush()
    (root / "ntu60" / ".checked").touch()  # as if it was damaged while it trains
    error = refusal(pretrain.main, *pretraining(root, tmp_path / "run", "--epochs", 2))
    assert store.names[row] in error and (tmp_path / "run" / "broken_numbers.txt").exists()
    assert not checkpoint.in_folder(tmp_path / "run")


def test_a_learning_rate_that_explodes_ends_the_run(data_root, tmp_path):
    flags = ("--epochs", 40, "--lr", 1e30, "--schedule")
    done = call(pretrain.main, *pretraining(data_root, tmp_path / "run", *flags))
    assert done.code == 1 and "--lr" in done.err
    assert "clips of the batch:" in (tmp_path / "run" / "broken_numbers.txt").read_text()
    for path in checkpoint.in_folder(tmp_path / "run"):
        assert not checkpoint.not_finite(checkpoint.load(path)["model"])
