"""Old names of tools.evaluation.neighbors; to be removed when no room uses them."""

from types import SimpleNamespace

from tools.evaluation import neighbors
from tools.evaluation.neighbors import percent

__all__ = ["percent", "retrieve"]


def retrieve(*args, seeds=(0,), **kwargs):
    runs = [neighbors.retrieve(*args, **kwargs, seed=seed) for seed in seeds]
    return [SimpleNamespace(**run._asdict(), accuracies=run.figures["accuracies"]) for run in runs]
