"""Linear evaluation: train linear layers on the features of a frozen encoder.

features = encode(encoder, open_halves(store, "cross_subject"))
run = linear_evaluation(features, seed=0)
print(run.tests[-1]["top1"])
"""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from common import UserError
from tools.evaluation.features import ALL_LABELS, Features, Labels, within_training

RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # learning rates that `tune` tries
HELD_OUT = 5  # `tune` holds out one of this many subjects

Batches = Iterable[tuple[Tensor, Tensor]]  # (inputs, classes (n,))


@dataclass(frozen=True)
class Training:
    """How recognition trains.

    lr: learning rate of the linear layers.
    schedule: milestones, in epochs from 0, at which the learning rates fall to a tenth.
    wd: weight decay.
    test_every: epochs between tests.
    encoder_lr: learning rate of the encoder, in fine-tuning only.
    augment: views in fine-tuning: `none` (whole clips), `crop`, or `full` (as in pre-training).
    """

    epochs: int
    batch_size: int
    lr: float
    schedule: tuple[int, ...]
    wd: float
    test_every: int = 5
    encoder_lr: float | None = None
    augment: str | None = None


# The published linear evaluation.
LINEAR = Training(epochs=150, batch_size=512, lr=0.03, schedule=(120, 140), wd=0.0)


class LinearClassifier(nn.Module):
    """One linear layer for each stream; weights are drawn from N(0, 0.01²), biases are zero."""

    def __init__(self, streams: int, feature_size: int, num_classes: int):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(feature_size, num_classes) for _ in range(streams))
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Features (S, n, D) of S streams -> scores (S, n, classes)."""
        return torch.stack([layer(x) for layer, x in zip(self.layers, features, strict=True)])


class Run(NamedTuple):
    """One training.

    seed: of everything random.
    labeled: number of training clips that have a label.
    tests: one {epoch, loss, top1, top5} for each test; accuracies in percent.
    predicted: (m,) classes, from 0, that the last test predicted for the test clips.
    model: the trained LinearClassifier or Recognizer.
    """

    seed: int
    labeled: int
    tests: list[dict[str, float]]
    predicted: Tensor
    model: nn.Module


def linear_evaluation(
    features: Features, settings: Training = LINEAR, labels: Labels = ALL_LABELS, seed: int = 0
) -> Run:
    """Train a linear layer for each stream on the features of a frozen encoder, by SGD.

    labels: how many training clips keep their label.
    Raises UserError where the training diverges.
    """
    torch.manual_seed(seed)
    data, device = features.data, features.train.device
    labeled = labels.draw(data.store.label[data.train], seed)
    kept = torch.from_numpy(labeled).to(device)
    inputs, classes = features.train[:, kept], features.train_classes[kept]

    streams, _, feature_size = inputs.shape
    model = LinearClassifier(streams, feature_size, data.store.num_classes).to(device)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=settings.lr, momentum=0.9, weight_decay=settings.wd
    )

    def train_batches(epoch: int) -> Batches:
        for batch in torch.randperm(len(classes)).to(device).split(settings.batch_size):
            yield inputs[:, batch], classes[batch]

    def test_batches() -> Batches:
        yield features.test, features.test_classes

    tests, predicted = train_and_test(model, optimizer, train_batches, test_batches, settings)
    return Run(seed, len(labeled), tests, predicted, model)


def train_and_test(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    train_batches: Callable[[int], Batches],
    test_batches: Callable[[], Batches],
    settings: Training,
) -> tuple[list[dict[str, float]], Tensor]:
    """Train a model to the last epoch, and test it every few epochs.

    model: inputs -> scores (S, n, classes) of S streams; each stream has its own cross-entropy.
    train_batches: number of an epoch, from 0 -> its batches.
    Returns the tests, and the classes (m,) that the last test predicted.
    Raises UserError where the training diverges.
    """
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(settings.schedule), gamma=0.1)
    tests = []
    bar = tqdm(range(settings.epochs), desc="training", unit="epoch", leave=False, disable=None)
    for epoch in bar:
        model.train()
        for inputs, classes in train_batches(epoch):
            loss = sum(F.cross_entropy(scores, classes) for scores in model(inputs))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        done = epoch + 1
        if done % settings.test_every == 0 or done == settings.epochs:
            scores, classes = predict(model, test_batches())
            if not (loss.isfinite() and scores.isfinite().all()):
                rates = "--lr and --encoder-lr" if settings.encoder_lr else "--lr"
                raise UserError(
                    f"the training diverged, its loss is {loss.item():g} in epoch {done}; lower "
                    f"{rates}, or --wd"
                )
            tests.append({"epoch": done, "loss": loss.item(), **accuracy(scores, classes)})
            bar.set_postfix_str(f"top-1 {tests[-1]['top1']:.1f} %")
    return tests, scores.argmax(1)


@torch.inference_mode()
def predict(model: nn.Module, batches: Batches) -> tuple[Tensor, Tensor]:
    """Scores (n, classes) of the clips in some batches, added over the streams; classes (n,)."""
    model.eval()
    scores, classes = zip(*((model(inputs).sum(0), y) for inputs, y in batches), strict=True)
    return torch.cat(scores), torch.cat(classes)


def accuracy(scores: Tensor, classes: Tensor) -> dict[str, float]:
    """Top-1 and top-5 accuracy in percent, of scores (n, K) and classes (n,)."""
    best = scores.topk(min(5, scores.shape[1])).indices  # (n, 5)
    right = best == classes[:, None]
    return {
        "top1": 100 * right[:, 0].sum().item() / len(classes),
        "top5": 100 * right.any(1).sum().item() / len(classes),
    }


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """The figures of a result: means over runs, and unbiased standard deviations (None for one).

    `top1` and `top5` are those after the last epoch. `best_top1` is that of `best_epoch`, the epoch
    with the greatest mean.
    """

    def values(test: int, name: str) -> list[float]:
        return [run.tests[test][name] for run in runs]

    tests = [
        {"epoch": test["epoch"], **{k: statistics.fmean(values(i, k)) for k in ("top1", "top5")}}
        for i, test in enumerate(runs[0].tests)
    ]
    best = max(range(len(tests)), key=lambda i: tests[i]["top1"])
    figures = {"best_epoch": tests[best]["epoch"], "tests": tests}
    for name, each in (
        ("top1", values(-1, "top1")),
        ("top5", values(-1, "top5")),
        ("best_top1", values(best, "top1")),
    ):
        figures[name] = statistics.fmean(each)
        figures[f"{name}_std"] = statistics.stdev(each) if len(runs) > 1 else None
    each = [{"seed": run.seed, "labelled_clips": run.labeled, "tests": run.tests} for run in runs]
    return {**figures, "runs": each}


def tune(
    features: Features, settings: Training = LINEAR, labels: Labels = ALL_LABELS, seed: int = 0
) -> dict[str, Any]:
    """Choose the learning rate of linear evaluation on held-out training subjects.

    No test clip takes part. The seed draws the held-out subjects, a fifth of all. Of equally good
    rates, after the last epoch, the one nearest to `settings.lr` is chosen.
    Returns {lr, tried: one {lr, top1} for each of RATES, in percent of the held-out clips}.
    Raises UserError where the training clips show only one person.
    """
    data = features.data
    labeled = labels.draw(data.store.label[data.train], seed)
    subjects = data.store.subject[data.train[labeled]]
    people = np.random.default_rng([seed, 4]).permutation(np.unique(subjects))
    if len(people) < 2:
        raise UserError("--tune needs training clips of two people or more")
    held_out = np.isin(subjects, people[: max(1, len(people) // HELD_OUT)])
    inner = within_training(features, labeled[~held_out], labeled[held_out])
    tried = []
    for rate in RATES:
        once = replace(settings, lr=rate, test_every=settings.epochs)
        run = linear_evaluation(inner, once, seed=seed)
        tried.append({"lr": rate, "top1": run.tests[-1]["top1"]})
    best = min(tried, key=lambda one: (-one["top1"], abs(np.log(one["lr"] / settings.lr))))
    return {"lr": best["lr"], "tried": tried}
