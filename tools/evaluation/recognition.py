"""Recognition: linear evaluation of a frozen encoder, or fine-tuning.

features = encode(encoder, open_halves(store, "cross_subject"))
runs = linear_evaluation(features)
print(summary(runs)["top1"])
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from feeder.strengths import PUBLISHED, Strengths
from net import MODALITIES
from tools import cli
from tools.evaluation.features import Features, Halves
from tools.evaluation.labels import ALL_LABELS, Labels, few_labels
from tools.evaluation.learners import Learner, finetuning_learner, linear_learner
from tools.evaluation.progress import Progress
from tools.evaluation.settings import FINETUNE, LINEAR, Training


class Run(NamedTuple):
    """One training.

    seed: of everything random.
    labeled: number of training clips that had a label.
    tests: one {epoch, loss, top1, top5} for each test; accuracies in percent.
    predicted: (m,) classes, from 0, that the last test predicted for the test clips.
    model: the trained model.
    """

    seed: int
    labeled: int
    tests: list[dict[str, float]]
    predicted: Tensor
    model: nn.Module


def linear_evaluation(
    features: Features,
    settings: Training = LINEAR,
    labels: Labels = ALL_LABELS,
    seeds: Iterable[int] = (0,),
) -> list[Run]:
    """Train linear layers on the features of a frozen encoder, once for each seed.

    features: of all clips.
    settings: of the training.
    labels: how many training clips keep their label.
    seeds: one for each run.
    Raises UserError where the training diverges.
    """

    def learner(labeled: np.ndarray, seed: int) -> Learner:
        return linear_learner(features, settings, labeled)

    return _runs(learner, features.data, settings, labels, seeds)


def finetune(
    encoder: nn.Module,
    data: Halves,
    streams: Sequence[tuple[str, ...]] = (MODALITIES,),
    settings: Training = FINETUNE,
    labels: Labels = ALL_LABELS,
    seeds: Iterable[int] = (0,),
    strengths: Strengths = PUBLISHED,
) -> list[Run]:
    """Train a copy of the encoder together with linear layers, once for each seed.

    encoder: any module with a `feature_size` and a `layout`; it stays unchanged.
    data: the training and the test clips.
    streams: sets of modalities; each has a linear layer, and the scores of all are added.
    settings, labels, seeds: as in `linear_evaluation`.
    strengths: of the augmentation of random views; best those of pre-training.
    Raises UserError where the training diverges.
    """

    def learner(labeled: np.ndarray, seed: int) -> Learner:
        return finetuning_learner(encoder, data, streams, settings, labeled, seed, strengths)

    return _runs(learner, data, settings, labels, seeds)


def _runs(
    learner: Callable[[np.ndarray, int], Learner],
    data: Halves,
    settings: Training,
    labels: Labels,
    seeds: Iterable[int],
) -> list[Run]:
    runs = []
    for seed in seeds:
        torch.manual_seed(seed)
        labeled = few_labels(data.store.label[data.train], seed, *labels)
        runs.append(train_and_test(learner(labeled, seed), settings, seed, len(labeled)))
    return runs


def train_and_test(learner: Learner, settings: Training, seed: int, labeled: int) -> Run:
    """Train a model to the last epoch, and test it every few epochs.

    seed, labeled: what the result says of the run.
    Raises UserError where the training diverges.
    """
    check_decay(settings)
    schedule = torch.optim.lr_scheduler.MultiStepLR(learner.optimizer, list(settings.schedule))
    tests = []
    with Progress("training", settings.epochs, "epoch") as progress:
        for epoch in range(1, settings.epochs + 1):
            learner.model.train()
            for inputs, classes in learner.train(epoch - 1):
                scores = learner.model(inputs)  # (S, n, classes)
                loss = sum(F.cross_entropy(stream, classes) for stream in scores)
                learner.optimizer.zero_grad()
                loss.backward()
                learner.optimizer.step()
            schedule.step()
            if epoch % settings.test_every == 0 or epoch == settings.epochs:
                scores, classes = predict(learner.model, learner.test())
                if not (loss.isfinite() and scores.isfinite().all()):
                    raise cli.UserError(_diverged(settings, loss.item(), epoch))
                tests.append({"epoch": epoch, "loss": loss.item()} | accuracy(scores, classes))
            progress.update(1, f"top-1 {tests[-1]['top1']:.1f} %" if tests else "")
    return Run(seed, labeled, tests, scores.argmax(1), learner.model)


def check_decay(settings: Training) -> None:
    """Raise UserError where weight decay alone makes the weights grow without bound."""
    for flag, rate in (("--lr", settings.lr), ("--encoder-lr", settings.encoder_lr)):
        if rate and rate * settings.wd > 1:
            raise cli.UserError(
                f"{flag} {rate:g} with --wd {settings.wd:g} makes the weights grow in each step; "
                "lower one of them, their product may be 1 at most"
            )


def _diverged(settings: Training, loss: float, epoch: int) -> str:
    rates = "--lr and --encoder-lr" if settings.encoder_lr else "--lr"
    return f"the training diverged, its loss is {loss:g} in epoch {epoch}; lower {rates}"


@torch.inference_mode()
def predict(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Scores (n, classes) of the clips in some batches, added over the streams.

    And classes (n,).
    """
    model.eval()
    parts = [(model(inputs).sum(0), classes) for inputs, classes in batches]
    scores, classes = zip(*parts, strict=True)
    return torch.cat(scores), torch.cat(classes)


def accuracy(scores: Tensor, classes: Tensor) -> dict[str, float]:
    """Top-1 and top-5 accuracy in percent.

    scores: (n, K). classes: (n,), from 0.
    """
    best = scores.topk(min(5, scores.shape[1])).indices  # (n, 5)
    right = best == classes[:, None]
    return {
        "top1": 100 * right[:, 0].sum().item() / len(classes),
        "top5": 100 * right.any(1).sum().item() / len(classes),
    }


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """The figures of a result, as means over runs that were tested at the same epochs.

    `top1` and `top5` are those after the last epoch. `best_top1` is that of `best_epoch`, the epoch
    with the greatest mean. Standard deviations over the runs are unbiased, and None for a single
    run.
    """
    table = np.array([[(t["top1"], t["top5"]) for t in run.tests] for run in runs])
    mean = table.mean(0)  # (tests, 2)
    tests = [
        {"epoch": test["epoch"], "top1": top1, "top5": top5}
        for test, (top1, top5) in zip(runs[0].tests, mean.tolist(), strict=True)
    ]
    best = int(mean[:, 0].argmax())

    def deviation(values: np.ndarray) -> float | None:
        return values.std(ddof=1).item() if len(runs) > 1 else None

    return {
        "top1": tests[-1]["top1"],
        "top1_std": deviation(table[:, -1, 0]),
        "top5": tests[-1]["top5"],
        "top5_std": deviation(table[:, -1, 1]),
        "best_top1": tests[best]["top1"],
        "best_top1_std": deviation(table[:, best, 0]),
        "best_epoch": tests[best]["epoch"],
        "tests": tests,
        "runs": [
            {"seed": run.seed, "labelled_clips": run.labeled, "tests": run.tests} for run in runs
        ],
    }
