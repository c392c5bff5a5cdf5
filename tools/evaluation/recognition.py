"""Old names of tools.evaluation.probe and finetuning; to be removed when no room uses them."""

from tools.evaluation import finetuning, probe
from tools.evaluation.probe import summary

__all__ = ["finetune", "linear_evaluation", "summary"]


def linear_evaluation(*args, seeds=(0,), **kwargs):
    return [probe.linear_evaluation(*args, **kwargs, seed=seed) for seed in seeds]


def finetune(*args, seeds=(0,), **kwargs):
    return [finetuning.finetune(*args, **kwargs, seed=seed) for seed in seeds]
