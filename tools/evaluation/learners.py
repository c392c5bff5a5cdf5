"""What recognition can train: linear layers on the frozen encoder's features, or both together."""

import argparse
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from feeder.augment import augment, augmentation
from feeder.batches import Batch, TrainingBatches, whole_clips
from tools.evaluation import subject as evaluation
from tools.evaluation.recognition import LinearClassifier, Recogniser
from tools.evaluation.subject import Subject

LEAST_STEPS = 8  # of an epoch of fine-tuning


class Learner(NamedTuple):
    """What a run trains and on what.

    model: inputs -> scores (S, n, classes) of S streams; train: the batches (inputs, classes) of
    an epoch, counted from 0; test: those of the test clips.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    train: Callable[[int], Iterator[tuple[Tensor, Tensor]]]
    test: Callable[[], Iterator[tuple[Tensor, Tensor]]]


def linear_evaluation(
    args: argparse.Namespace,
    subject: Subject,
    features: Tensor,
    test_features: Tensor,
    labelled: np.ndarray,
    seed: int,
) -> Learner:
    """Linear layers on features (S, n, 2H) of the frozen encoder."""
    classifier = classifier_of(args, subject)
    optimizer = torch.optim.SGD(classifier.parameters(), args.lr, 0.9, weight_decay=args.wd)
    kept = torch.from_numpy(labelled).to(subject.device)
    features = features[:, kept]
    classes = evaluation.labels(subject, subject.train)[kept]
    test_classes = evaluation.labels(subject, subject.test)

    def train(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in torch.randperm(len(kept)).to(subject.device).split(args.batch_size):
            yield features[:, batch], classes[batch]

    def test() -> Iterator[tuple[Tensor, Tensor]]:
        yield test_features, test_classes

    return Learner(classifier, optimizer, train, test)


def finetuning(
    args: argparse.Namespace, subject: Subject, labelled: np.ndarray, seed: int
) -> Learner:
    """The encoder and linear layers together, on views of the clips."""
    encoder = deepcopy(subject.encoder).requires_grad_(True)
    model = Recogniser(encoder, classifier_of(args, subject), args.streams)
    optimizer = torch.optim.AdamW(
        [
            {"params": model.encoder.parameters(), "lr": args.encoder_lr},
            {"params": model.classifier.parameters(), "lr": args.lr},
        ],
        weight_decay=args.wd,
    )
    rows = subject.train[labelled]
    # Of few clips a smaller batch, or their epochs would be too few steps to learn anything.
    size = min(args.batch_size, max(1, len(rows) // LEAST_STEPS))
    batches = TrainingBatches(subject.store, rows, size, seed, subject.device, workers=4)

    def train(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in batches.epoch(epoch):
            yield views(batch, args.augment), evaluation.labels(subject, batch.rows)

    def test() -> Iterator[tuple[Tensor, Tensor]]:
        size = evaluation.ENCODING_BATCH
        for some in np.split(subject.test, range(size, len(subject.test), size)):
            clips = whole_clips(subject.store, some, subject.device)
            yield clips, evaluation.labels(subject, some)

    return Learner(model, optimizer, train, test)


def classifier_of(args: argparse.Namespace, subject: Subject) -> LinearClassifier:
    """Linear layers for each stream, not trained yet."""
    sizes = len(args.streams), subject.encoder.feature_size, subject.store.num_classes
    return LinearClassifier(*sizes).to(subject.device)


def views(batch: Batch, kind: str) -> Tensor:
    """One view of each clip of a training batch: (n, T, M, V, C)."""
    clips = batch.clips
    if kind == "none":
        return clips.resized()
    chosen = augmentation(batch.uniform[0], clips.start, clips.length)
    if kind == "crop":
        return clips._replace(start=chosen.start, length=chosen.length).resized()
    return augment(clips.frames, chosen)
