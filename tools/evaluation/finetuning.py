"""Fine-tuning: train a copy of the encoder together with linear layers."""

from collections.abc import Sequence
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor, nn

from feeder.augment import PUBLISHED, Strengths, augment, augmentation
from feeder.batches import Batch, TrainingBatches, to_device
from net import MODALITIES
from tools.evaluation import features
from tools.evaluation.features import ALL_LABELS, Labels, TrainTestSplit
from tools.evaluation.probe import Batches, LinearClassifier, Run, Training, fit

LEAST_STEPS = 8  # steps of an epoch, if there are few clips
# As transformers are usually fine-tuned (He et al., MAE, CVPR 2022; Mao et al., MAMP, ICCV 2023):
# AdamW with weight decay 0.05, a smaller learning rate for the encoder. The rates fall in steps.
FINETUNE = Training(
    epochs=60, batch_size=64, lr=3e-3, schedule=[40, 50], wd=0.05, encoder_lr=3e-4, augment="crop"
)


class Recognizer(nn.Module):
    """An encoder and linear layers, each of one stream (set of modalities), trained together."""

    def __init__(self, encoder: nn.Module, classifier: LinearClassifier, streams: Sequence[tuple]):
        super().__init__()
        self.encoder, self.classifier, self.streams = encoder, classifier, streams

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (n, T, M, V, C) -> scores (S, n, classes) of S streams."""
        return self.classifier(features.encode_views(self.encoder, clips, self.streams))


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
    store, device = data.store, features.device_of(encoder)
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

    test_batches = partial(features.clips_and_classes, store, data.test, device)
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
