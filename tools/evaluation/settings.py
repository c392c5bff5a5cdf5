"""Old names; to be removed when no room uses them."""

from tools.evaluation.finetuning import FINETUNE
from tools.evaluation.probe import LINEAR, Training
from tools.evaluation.results import changed, defaults, in_words

__all__ = ["FINETUNE", "LINEAR", "Training", "changed", "defaults", "in_words"]
