"""The figures of an ablation: recognition and 1-NN, each read in two ways."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from tools.cli import UserError
from tools.evaluation.features import Features, within_training
from tools.evaluation.neighbors import joined, nearest
from tools.evaluation.recognition import linear_evaluation
from tools.evaluation.retrieval import percent
from tools.evaluation.settings import LINEAR
from tools.evaluation.standardize import standardized

FOLDS = 5  # groups of training subjects, of which each is held out once
LAST_ONLY = replace(LINEAR, test_every=LINEAR.epochs)


def figures(features: Features, seed: int) -> dict[str, float]:
    """Accuracies in percent on the test clips.

    features: of one or several streams. The streams' scores are added, their cosines averaged.
    seed: of the linear layers.

    Returns the accuracy of linear evaluation after its last epoch and that of 1-NN, each with the
    features as published and standardized.
    """
    return {name: percent(right) for name, right in _right(features, seed).items()}


def held_out_figures(features: Features, seed: int) -> dict[str, float]:
    """The same accuracies on the training clips of held-out subjects, in percent of all clips.

    Each group of subjects is held out once, and recognized by the clips of the other subjects. The
    groups do not depend on the seed. No test clip takes part.
    Raises UserError where the training clips show one person only.
    """
    subjects = features.data.store.subject[features.data.train]
    people = np.unique(subjects)
    if len(people) < 2:
        raise UserError("the training clips show one person; two are needed to hold one out")
    held = [np.isin(subjects, people[i::FOLDS]) for i in range(min(FOLDS, len(people)))]
    folds = [_right(within_training(features, ~one, one), seed) for one in held]
    return {name: percent(torch.cat([fold[name] for fold in folds])) for name in folds[0]}


def _right(features: Features, seed: int) -> dict[str, Tensor]:
    """{figure: whether each test clip is recognized, (m,) bool}."""
    found, truth = {}, features.test_classes
    for way, inputs in (("", features), ("_standardized", standardized(features)[0])):
        (run,) = linear_evaluation(inputs, LAST_ONLY, seeds=[seed])
        _, near = nearest(joined(inputs.test), joined(inputs.train), 1)
        found[f"linear{way}"] = run.predicted == truth
        found[f"knn{way}"] = features.train_classes[near[:, 0]] == truth
    return found
