"""Pre-training from end to end, in one process: the published trajectory, wrong settings."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import pretrain
from net.losses import umurl_loss
from net.methods import Method
from tests.golden_files import MODEL_SIZES
from tests.net.golden_models import golden_model
from tests.published import our_name
from tests.runs import call, pretraining
from tools.cli import UserError
from tools.formats import checkpoint
from tools.training import run
from tools.training.settings import Settings


def curves(folder: Path) -> dict[str, list[float]]:
    """{tag: values} of a run's TensorBoard scalars."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: [e.value for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


class GoldenBatches:
    """Used in place of TrainingBatches: yields the views of the reference figures, step by step."""

    def __init__(self, views: torch.Tensor):
        self.views = views  # (steps, 4, B, T, M, V, C)

    def __call__(self, *_, **__):
        return self

    def __len__(self):
        return len(self.views)

    def epoch(self, epoch, first_step=0):
        for step, views in enumerate(self.views):
            rows = np.arange(views.shape[1])
            yield SimpleNamespace(
                views=lambda views=views: views, shares=[len(rows)], step=step, rows=rows
            )


@pytest.mark.parametrize("name", MODEL_SIZES)
def test_training_follows_the_published_trajectory(name, data_root, tmp_path, monkeypatch):
    golden, model, views = golden_model(name)
    monkeypatch.setattr(run, "TrainingBatches", GoldenBatches(views))
    monkeypatch.setattr(Method, "load_model", lambda _: lambda *_: model)
    sizes = [w for k, v in MODEL_SIZES[name].items() for w in (f"--{k.replace('_', '-')}", v)]
    done = call(pretrain.main, *pretraining(data_root, tmp_path / "run", "--epochs", 1, *sizes))
    assert done.code == 0, done.err

    shown = curves(tmp_path / "run")
    regulated = np.add(shown["loss/variance"], shown["loss/covariance"])
    trajectory = [shown["loss/intra"], shown["loss/inter"], regulated, shown["loss/total"]]
    published = golden["train/intra_inter_reg_total"]
    np.testing.assert_allclose(np.transpose(trajectory), published, rtol=1e-4)

    norm = np.sqrt(sum(v**2 for key, v in golden.items() if key.startswith("grad0_norm/")))
    assert shown["train/gradient_norm"][0] == pytest.approx(norm, rel=1e-3)

    trained = checkpoint.load(checkpoint.newest(tmp_path / "run"))["model"]
    after = {our_name(k[6:]): v for k, v in golden.items() if k.startswith("after/")}
    assert len(after) == 5
    for key, weights in after.items():
        # The running means of a batch norm see the bias before it, of which Adam makes steps as
        # large as the learning rate, in whatever direction rounding takes: 5e-4 a step.
        atol = 5e-4 if key.endswith("running_mean") else 0
        error = np.linalg.norm(trained[key].numpy() - weights)
        assert error < 1e-3 * np.linalg.norm(weights) + atol * weights.size**0.5, key


def test_weight_decay_is_an_l2_term_of_the_gradient(data_root, tmp_path, monkeypatch):
    _, model, views = golden_model("model_small")
    unimodal, fused, _ = model(views[0])
    umurl_loss(unimodal, fused)["total"].backward()
    before = {k: (p.detach().clone(), p.grad.clone()) for k, p in model.named_parameters()}
    monkeypatch.setattr(run, "TrainingBatches", GoldenBatches(views[:1]))
    monkeypatch.setattr(Method, "load_model", lambda _: lambda *_: model)
    sizes = ("--hidden-size", 16, "--projector-width", 64)
    more = ("--epochs", 1, "--wd", 0.5, "--lr", 0.01, *sizes)
    assert call(pretrain.main, *pretraining(data_root, tmp_path / "run", *more)).code == 0
    trained = checkpoint.load(checkpoint.newest(tmp_path / "run"))["model"]
    for key, (weight, grad) in before.items():
        grad = grad + 0.5 * weight
        clear = grad.abs() > 1e-3  # else it may be rounding that decides where the step goes
        expected = weight - 0.01 * grad.sign()  # the first step of Adam (Kingma & Ba 2015)
        torch.testing.assert_close(trained[key][clear], expected[clear], rtol=1e-4, atol=1e-5)


def test_training_learns_and_leaves_what_it_promises(data_root, tmp_path):
    folder = tmp_path / "run"
    flags = ("--epochs", 6, "--lr", 1e-2, "--hidden-size", 16, "--schedule", 5)
    done = call(pretrain.main, *pretraining(data_root, folder, *flags))
    assert (done.code, done.err) == (0, "")
    assert "24 training clips, 2 steps an epoch" in done.out
    assert f"pre-training is done: {folder}/checkpoint_0006.pt" in done.out
    assert f"action_classification.py --checkpoint-path {folder}" in done.out
    assert f"action_retrieval.py --checkpoint-path {folder}" in done.out
    shown = curves(folder)
    total = shown["loss/total"]
    assert len(total) == 12
    assert np.mean(total[-2:]) < 0.95 * np.mean(total[:2])
    assert all(np.isfinite(values).all() for values in shown.values())
    terms = [np.array(shown[f"loss/{term}"]) for term in ("intra", "inter")]
    regulated = np.add(shown["loss/variance"], shown["loss/covariance"])
    np.testing.assert_allclose(total, 5 * np.sum(terms, 0) + regulated, rtol=1e-5)
    np.testing.assert_allclose(shown["train/learning_rate"], [1e-2] * 10 + [1e-3] * 2, rtol=1e-5)
    assert min(shown["features/std"]) > 0
    assert min(shown["train/clips_per_second"]) > 0


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--hidden-size", 10, "--num-head", 4], "--hidden-size 10 cannot be divided by"),
        (["--amp", "fp16"], "--amp fp16 needs a GPU"),
        (["--pre-dataset", "ntu60", "--protocol", "cross_setup"], "has no protocol 'cross_setup'"),
        (["--data-root", "nowhere"], "is missing; prepare the data with"),
        (["--batch-sise", 8], "unrecognized arguments: --batch-sise"),
        (["--batch-size", 0], "'0' is not a whole number from 2"),
        (["--lr", "fast"], "'fast' is not a number from 0"),
        (["--seed", -1], "'-1' is not a whole number"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(data_root, tmp_path, flags, complaint):
    refused = call(pretrain.main, *pretraining(data_root, tmp_path / "run", *flags))
    assert refused.code > 0
    assert complaint in refused.err
    assert len(refused.err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_batch_of_fewer_clips_than_ranks_is_refused():
    args = Settings(batch_size=8, hidden_size=8, amp="off")
    process = SimpleNamespace(world_size=9, device=torch.device("cpu"))
    with pytest.raises(UserError, match="--batch-size 8 is less than a clip for each of 9 ranks"):
        run.check(args, (9,), process)
    for process.world_size in range(1, 9):
        run.check(args, (9,), process)
    with pytest.raises(UserError, match="1 training clips are too few"):
        run.check(args, (1,), process)
