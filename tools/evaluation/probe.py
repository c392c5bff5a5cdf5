"""How recognition trains: linear layers on the features of a frozen encoder, or fine-tuning.

run = linear_evaluation(encode(encoder, open_split(store, "cross_subject")), seed=0)
print(run.tests[-1]["top1"])

The cross-entropy is minimized, by SGD with momentum 0.9 for linear layers and by AdamW in
fine-tuning; learning rates fall to a tenth at each milestone. What counts is the accuracy of the
last epoch on the test clips.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import recall_score
from torch import Tensor, nn
from tqdm import tqdm

from common import UserError
from feeder.augment import PUBLISHED, Strengths, augment, augmentation
from feeder.batches import Batch, TrainingBatches, to_device
from net import MODALITIES
from tools.evaluation.features import (
    ALL_LABELS,
    Features,
    Labels,
    TrainTestSplit,
    clips_and_classes,
    device_of,
    encode_views,
    within_training,
)
from tools.evaluation.neighbors import percent

LEAST_STEPS = 8  # steps of an epoch of fine-tuning, if there are few clips
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # learning rates that `tune` tries
Batches = Iterable[tuple[Tensor, Tensor]]  # (inputs, classes (n,))


@dataclass(frozen=True)
class Training:
    """How recognition trains."""

    epochs: int
    batch_size: int
    lr: float  # of the linear layers
    schedule: list[int]  # milestones, in epochs, at which the learning rates fall to a tenth
    wd: float
    test_every: int = 5  # epochs between tests
    encoder_lr: float | None = None  # in fine-tuning only
    augment: str | None = None  # in fine-tuning only: as `view` takes it


# The published linear evaluation.
LINEAR = Training(epochs=150, batch_size=512, lr=0.03, schedule=[120, 140], wd=0.0)
# As transformers are usually fine-tuned (He et al., MAE, CVPR 2022; Mao et al., MAMP, ICCV 2023):
# AdamW with weight decay 0.05, a smaller learning rate for the encoder. The rates fall in steps.
FINETUNE = Training(
    epochs=60, batch_size=64, lr=3e-3, schedule=[40, 50], wd=0.05, encoder_lr=3e-4, augment="crop"
)


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


class Recognizer(nn.Module):
    """An encoder and linear layers, each of one stream (set of modalities), trained together."""

    def __init__(self, encoder: nn.Module, classifier: LinearClassifier, streams: Sequence[tuple]):
        super().__init__()
        self.encoder, self.classifier, self.streams = encoder, classifier, streams

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (n, T, M, V, C) -> scores (S, n, classes) of S streams."""
        return self.classifier(encode_views(self.encoder, clips, self.streams))


class Run(NamedTuple):
    """One training: the seed of everything random, and what came out."""

    seed: int
    labelled_clips: int  # the number of training clips that have a label
    tests: list[dict[str, float]]  # {epoch, loss: mean over the epoch's clips, top1, top5}
    predicted: Tensor  # (m,) classes, from 0, of the test clips after the last epoch
    model: nn.Module  # LinearClassifier, or Recognizer


def linear_evaluation(
    features: Features, settings: Training = LINEAR, labels: Labels = ALL_LABELS, seed: int = 0
) -> Run:
    """Train a linear layer for each stream on the features of a frozen encoder, by SGD.

    Raises UserError if the training diverges.
    """
    torch.manual_seed(seed)
    data, device = features.data, features.train.device
    kept = torch.from_numpy(labels.draw(data.store.label[data.train], seed)).to(device)
    inputs, classes = features.train[:, kept], features.train_classes[kept]
    test_batches = [(features.test, features.test_classes)]

    model = LinearClassifier(len(inputs), inputs.shape[2], data.store.num_classes).to(device)
    weights, lr, wd = model.parameters(), settings.lr, settings.wd
    optimizer = torch.optim.SGD(weights, lr=lr, momentum=0.9, weight_decay=wd)

    def train_batches(epoch: int) -> Batches:
        for batch in torch.randperm(len(classes)).to(device).split(settings.batch_size):
            yield inputs[:, batch], classes[batch]

    tests, predicted = fit(model, optimizer, train_batches, lambda: test_batches, settings)
    return Run(seed, len(kept), tests, predicted, model)


def finetune(
    encoder: nn.Module,
    data: TrainTestSplit,
    streams: Sequence[tuple[str, ...]] = (MODALITIES,),
    settings: Training = FINETUNE,
    labels: Labels = ALL_LABELS,
    seed: int = 0,
    strengths: Strengths = PUBLISHED,
) -> Run:
    """Train a copy of the encoder together with a linear layer for each stream, by AdamW.

    encoder: any module with a `feature_size` and a `layout`. strengths: best those of pre-training.
    Raises UserError if the training diverges.
    """
    torch.manual_seed(seed)
    store, device = data.store, device_of(encoder)
    rows = data.train[labels.draw(store.label[data.train], seed)]

    classifier = LinearClassifier(len(streams), encoder.feature_size, store.num_classes).to(device)
    model = Recognizer(deepcopy(encoder).requires_grad_(True), classifier, streams)
    encoder_group = {"params": model.encoder.parameters(), "lr": settings.encoder_lr}
    layers_group = {"params": model.classifier.parameters(), "lr": settings.lr}
    optimizer = torch.optim.AdamW([encoder_group, layers_group], weight_decay=settings.wd)
    # With few clips the batch is smaller, so that an epoch has enough steps to learn.
    size = min(settings.batch_size, max(1, len(rows) // LEAST_STEPS))
    batches = TrainingBatches(store, rows, size, seed, device, workers=4, strengths=strengths)

    def train_batches(epoch: int) -> Batches:
        for batch in batches.epoch(epoch):
            yield view(batch, settings.augment), to_device(store.label[batch.rows], device)

    test_batches = partial(clips_and_classes, store, data.test, device)
    tests, predicted = fit(model, optimizer, train_batches, test_batches, settings)
    return Run(seed, len(rows), tests, predicted, model)


def view(batch: Batch, kind: str) -> Tensor:
    """One view of each clip of a training batch: (n, T, M, V, C).

    kind: `none`: whole clips. `crop`: random crops. `full`: the augmentation of pre-training.
    """
    clips = batch.clips
    if kind == "none":
        return clips.resized()
    chosen = augmentation(batch.uniform[0], clips.start, clips.length, batch.strengths)
    if kind == "crop":
        return clips._replace(start=chosen.start, length=chosen.length).resized()
    return augment(clips.frames, chosen)


def fit(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    train_batches: Callable[[int], Batches],
    test_batches: Callable[[], Batches],
    settings: Training,
) -> tuple[list[dict[str, float]], Tensor]:
    """Train a model, and test it every few epochs and after the last one.

    model: inputs -> scores (S, n, classes) of S streams; each has its own cross-entropy.
    Returns the tests, and the classes (m,) that the last one predicted.
    Raises UserError if a loss or a score is not finite.
    """
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, settings.schedule, gamma=0.1)
    tests = []
    for epoch in tqdm(range(settings.epochs), "training", unit="epoch", leave=False, disable=None):
        model.train()
        total = clips = 0
        for inputs, classes in train_batches(epoch):
            loss = sum(F.cross_entropy(scores, classes) for scores in model(inputs))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total, clips = total + loss.detach() * len(classes), clips + len(classes)
        schedule.step()
        mean, done = (total / clips).item(), epoch + 1
        is_finite = np.isfinite(mean)
        if is_finite and (done % settings.test_every == 0 or done == settings.epochs):
            scores, classes = predict(model, test_batches())
            is_finite = scores.isfinite().all()
            tests.append({"epoch": done, "loss": mean, **accuracy(scores, classes)})
        if not is_finite:
            rates = "--lr and --encoder-lr" if settings.encoder_lr else "--lr"
            raise UserError(f"the training diverged in epoch {done}; lower {rates}, or --wd")
    return tests, scores.argmax(1)


@torch.inference_mode()
def predict(model: nn.Module, batches: Batches) -> tuple[Tensor, Tensor]:
    """Scores (n, classes) of the clips in some batches, added over streams; classes (n,)."""
    model.eval()
    scores, classes = zip(*((model(inputs).sum(0), y) for inputs, y in batches), strict=True)
    return torch.cat(scores), torch.cat(classes)


def accuracy(scores: Tensor, classes: Tensor) -> dict[str, float]:
    """Top-1 and top-5 accuracy in percent, of scores (n, K) and classes (n,)."""
    right = scores.topk(min(5, scores.shape[1])).indices == classes[:, None]  # (n, 5)
    return {"top1": percent(right[:, 0]), "top5": percent(right.any(1))}


def summary(runs: Sequence[Run], data: TrainTestSplit) -> dict[str, Any]:
    """The figures of a result: means over runs, and unbiased standard deviations (None for one).

    They are those after the last epoch; `best_top1` is that of the best test of each run, and
    `best_epoch` has the greatest mean. With fewer than six classes `top5` is None.
    """
    truth = data.store.label[data.test]
    if len(np.union1d(truth, data.store.label[data.train])) < 6:
        runs = [run._replace(tests=[{**test, "top5": None} for test in run.tests]) for run in runs]

    def mean(values: list[float | None]) -> float | None:
        return None if None in values else statistics.fmean(values)

    curves = list(zip(*(run.tests for run in runs), strict=True))  # the tests of each tested epoch
    tests = [
        {"epoch": same[0]["epoch"], **{k: mean([t[k] for t in same]) for k in ("top1", "top5")}}
        for same in curves
    ]
    best = max(range(len(tests)), key=lambda i: tests[i]["top1"])
    figures = {"best_epoch": tests[best]["epoch"], "tests": tests}
    recall = partial(recall_score, truth, labels=np.unique(truth), average="macro")
    each = {name: [test[name] for test in curves[-1]] for name in ("top1", "top5")}
    each["best_top1"] = [max(test["top1"] for test in run.tests) for run in runs]
    each["mean_class_accuracy"] = [100 * float(recall(run.predicted.cpu())) for run in runs]
    for name, values in each.items():
        figures[name] = mean(values)
        several = len(runs) > 1 and None not in values
        figures[f"{name}_std"] = statistics.stdev(values) if several else None
    kept = ("seed", "labelled_clips", "tests")
    return figures | {"runs": [{key: getattr(run, key) for key in kept} for run in runs]}


def tune(
    features: Features, settings: Training = LINEAR, labels: Labels = ALL_LABELS, seed: int = 0
) -> dict[str, Any]:
    """Choose the learning rate on a held-out fifth of the training subjects, drawn by the seed.

    Of equal rates the one nearest to `settings.lr` wins. Returns {lr, tried: {lr, top1} of each of
    RATES, in percent}. Raises UserError if the training clips show only one person.
    """
    data = features.data
    labelled = labels.draw(data.store.label[data.train], seed)
    subjects = data.store.subject[data.train[labelled]]
    people = np.random.default_rng([seed, 4]).permutation(np.unique(subjects))
    if len(people) < 2:
        raise UserError("--tune needs training clips of two people or more")
    held_out = np.isin(subjects, people[: max(1, len(people) // 5)])
    inner = within_training(features, labelled[~held_out], labelled[held_out])
    tried = []
    for lr in RATES:
        once = replace(settings, lr=lr, test_every=settings.epochs)
        run = linear_evaluation(inner, once, seed=seed)
        tried.append({"lr": lr, "top1": run.tests[-1]["top1"]})
    best = min(tried, key=lambda one: (-one["top1"], abs(np.log(one["lr"] / settings.lr))))
    return {"lr": best["lr"], "tried": tried}
