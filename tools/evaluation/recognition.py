"""Recognition's parts: which clips keep their label, layers to be trained, accuracy over runs."""

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from net.encoder import Encoder
from net.modalities import derive
from tools import cli


def fraction(text: str) -> float:
    """An argparse type: numbers above 0, 1 at most."""
    if (value := cli.positive(text)) > 1:
        raise argparse.ArgumentTypeError(f"{text!r} is more than 1")
    return value


def few_labels(
    classes: np.ndarray, seed: int, fraction: float | None = None, count: int | None = None
) -> np.ndarray:
    """Which of some clips keep their label: as many of each class, drawn by a seed.

    classes: (n,) integers; fraction: share of each class, rounded, at least one clip; count: clips
    of each class, or all it has; neither: all clips. Returns indices (m,), ascending. With one
    seed, fewer labels are a subset of more.
    """
    if fraction is None and count is None:
        return np.arange(len(classes))
    rng = np.random.default_rng(seed)
    kept = []
    for name in np.unique(classes):
        clips = rng.permutation(np.flatnonzero(classes == name))
        kept.append(clips[: count or max(1, round(fraction * len(clips)))])
    return np.sort(np.concatenate(kept))


class LinearClassifier(nn.Module):
    """One linear layer a stream of features; weights of standard deviation 0.01, biases zero."""

    def __init__(self, streams: int, feature_size: int, num_classes: int):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(feature_size, num_classes) for _ in range(streams))
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Features (S, n, 2H) of S streams -> scores (S, n, classes)."""
        return torch.stack([layer(x) for layer, x in zip(self.layers, features, strict=True)])


class Recogniser(nn.Module):
    """Encoder and linear layers, to be trained together."""

    def __init__(
        self, encoder: Encoder, classifier: LinearClassifier, streams: Sequence[tuple[str, ...]]
    ):
        super().__init__()
        self.encoder = encoder
        self.classifier = classifier
        self.streams = streams

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (n, T, M, V, C) -> scores (S, n, classes), a stream for each set of modalities."""
        features = self.encoder(*(derive(clips, names) for names in self.streams))
        return self.classifier(features.unflatten(0, (len(self.streams), -1)))


def accuracy(scores: Tensor, classes: Tensor) -> dict[str, float]:
    """Top-1 and top-5 accuracy, in percent, of scores (n, K) for clips of classes (n,)."""
    best = scores.topk(min(5, scores.shape[1])).indices  # (n, 5)
    right = best == classes[:, None]
    return {
        "top1": 100 * right[:, 0].sum().item() / len(classes),
        "top5": 100 * right.any(1).sum().item() / len(classes),
    }


def summary(runs: list[dict]) -> dict:
    """The figures of a recognition result from those of its runs.

    runs: each {"seed", "labelled_clips", "tests": [{"epoch", "top1", "top5"}]}, tested at the same
    epochs. All figures are means over the runs: `top1` and `top5` after the last epoch,
    `best_top1` at the `best_epoch`, the one with the greatest mean; the standard deviations
    (unbiased, None of a single run) are over the runs.
    """
    table = np.array([[(t["top1"], t["top5"]) for t in run["tests"]] for run in runs])
    mean = table.mean(0)  # (tests, 2)
    tests = [
        {"epoch": test["epoch"], "top1": top1, "top5": top5}
        for test, (top1, top5) in zip(runs[0]["tests"], mean.tolist(), strict=True)
    ]
    best = int(mean[:, 0].argmax())

    def spread(values: np.ndarray) -> float | None:
        return values.std(ddof=1).item() if len(runs) > 1 else None

    return {
        "top1": tests[-1]["top1"],
        "top1_std": spread(table[:, -1, 0]),
        "top5": tests[-1]["top5"],
        "top5_std": spread(table[:, -1, 1]),
        "best_top1": tests[best]["top1"],
        "best_top1_std": spread(table[:, best, 0]),
        "best_epoch": tests[best]["epoch"],
        "tests": tests,
        "runs": runs,
    }
