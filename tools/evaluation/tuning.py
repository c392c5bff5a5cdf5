"""Choose the learning rate of linear evaluation on held-out training subjects.

Published figures tune it for each protocol. No test clip takes part here.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tools import cli
from tools.evaluation.features import Features, within_training
from tools.evaluation.labels import ALL_LABELS, Labels, few_labels
from tools.evaluation.recognition import linear_evaluation
from tools.evaluation.settings import LINEAR, Training

RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
HELD_OUT = 5  # one of this many subjects is held out


class Tuned(NamedTuple):
    """The chosen learning rate.

    lr: the learning rate.
    tried: one {lr, top1} for each rate; percent of the held-out clips.
    """

    lr: float
    tried: list[dict[str, float]]


def tune(
    features: Features,
    settings: Training = LINEAR,
    labels: Labels = ALL_LABELS,
    seed: int = 0,
    rates: Sequence[float] = RATES,
) -> Tuned:
    """Choose the learning rate with the best accuracy on held-out subjects, after the last epoch.

    features: of all clips; only training clips are used.
    settings: of the training. Of equally good rates the one nearest to `settings.lr` is chosen.
    labels: only clips that keep their label are used.
    seed: draws the held-out subjects, a fifth of all.
    rates: the learning rates to try.
    Raises UserError where the training clips show only one person.
    """
    data = features.data
    labeled = few_labels(data.store.label[data.train], seed, *labels)
    subjects = data.store.subject[data.train[labeled]]
    people = np.random.default_rng([seed, 4]).permutation(np.unique(subjects))
    if len(people) < 2:
        raise cli.UserError("--tune needs training clips of two people or more")
    held = np.isin(subjects, people[: max(1, len(people) // HELD_OUT)])
    inner = within_training(features, labeled[~held], labeled[held])
    tried = []
    for rate in rates:
        once = replace(settings, lr=rate, test_every=settings.epochs)
        (run,) = linear_evaluation(inner, once, seeds=[seed])
        tried.append({"lr": rate, "top1": run.tests[-1]["top1"]})
    best = min(tried, key=lambda t: (-t["top1"], abs(np.log(t["lr"] / settings.lr))))
    return Tuned(best["lr"], tried)
