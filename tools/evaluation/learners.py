"""The two learners of recognition: linear layers alone, and linear layers with the encoder."""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from feeder.augment import augment, augmentation
from feeder.batches import Batch, TrainingBatches
from feeder.strengths import PUBLISHED, Strengths
from tools.evaluation.classifiers import LinearClassifier, Recognizer
from tools.evaluation.features import Features, Halves, classes_of, device_of, labeled_clips
from tools.evaluation.settings import Training

LEAST_STEPS = 8  # steps that an epoch of fine-tuning has at least


class Learner(NamedTuple):
    """What a run trains, and its data.

    model: inputs -> scores (S, n, classes) of S streams.
    optimizer: of the model's weights.
    train: number of an epoch, from 0 -> its batches (inputs, classes).
    test: gives the batches (inputs, classes) of the test clips.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    train: Callable[[int], Iterator[tuple[Tensor, Tensor]]]
    test: Callable[[], Iterator[tuple[Tensor, Tensor]]]


def linear_learner(features: Features, settings: Training, labeled: np.ndarray) -> Learner:
    """Linear layers on the features of a frozen encoder.

    labeled: (k,) indices of the training clips that have a label.
    """
    streams, _, size = features.train.shape
    classifier = LinearClassifier(streams, size, features.data.store.num_classes)
    classifier.to(features.train.device)
    rate, decay = settings.lr, settings.wd
    optimizer = torch.optim.SGD(classifier.parameters(), rate, 0.9, weight_decay=decay)
    kept = torch.from_numpy(labeled).to(features.train.device)
    inputs, classes = features.train[:, kept], features.train_classes[kept]

    def train(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in torch.randperm(len(kept)).to(kept.device).split(settings.batch_size):
            yield inputs[:, batch], classes[batch]

    def test() -> Iterator[tuple[Tensor, Tensor]]:
        yield features.test, features.test_classes

    return Learner(classifier, optimizer, train, test)


def finetuning_learner(
    encoder: nn.Module,
    data: Halves,
    streams: Sequence[tuple[str, ...]],
    settings: Training,
    labeled: np.ndarray,
    seed: int,
    strengths: Strengths = PUBLISHED,
) -> Learner:
    """A copy of the encoder and linear layers, trained together on views of the clips.

    encoder: stays unchanged.
    streams: the set of modalities of each linear layer.
    labeled: (k,) indices of the training clips that have a label.
    seed: of the order of the clips, and of the views.
    strengths: of the augmentation of the views.
    """
    store, device = data.store, device_of(encoder)
    classifier = LinearClassifier(len(streams), encoder.feature_size, store.num_classes).to(device)
    model = Recognizer(deepcopy(encoder).requires_grad_(True), classifier, streams)
    optimizer = torch.optim.AdamW(
        [
            {"params": model.encoder.parameters(), "lr": settings.encoder_lr},
            {"params": model.classifier.parameters(), "lr": settings.lr},
        ],
        weight_decay=settings.wd,
    )
    rows = data.train[labeled]
    # With few clips the batch is smaller, so that an epoch has enough steps to learn.
    size = min(settings.batch_size, max(1, len(rows) // LEAST_STEPS))
    batches = TrainingBatches(store, rows, size, seed, device, workers=4, strengths=strengths)

    def train(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in batches.epoch(epoch):
            yield views(batch, settings.augment), classes_of(store, batch.rows, device)

    def test() -> Iterator[tuple[Tensor, Tensor]]:
        return labeled_clips(store, data.test, device)

    return Learner(model, optimizer, train, test)


def views(batch: Batch, kind: str) -> Tensor:
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
