"""The settings of the evaluations and their defaults. Imports no torch, so that --help is quick."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Training:
    """How recognition trains.

    epochs: how often each clip is seen.
    batch_size: clips of a step.
    lr: learning rate of the linear layers.
    schedule: epochs, from 0, at which the learning rates are divided by ten.
    wd: weight decay.
    test_every: epochs between tests.
    encoder_lr: learning rate of the encoder, in fine-tuning only.
    augment: views in fine-tuning: `none` (whole clips), `crop`, or `full` (as in pre-training).
    """

    epochs: int
    batch_size: int
    lr: float
    schedule: tuple[int, ...]
    wd: float
    test_every: int = 5
    encoder_lr: float | None = None
    augment: str | None = None


# LINEAR is the published linear evaluation. FINETUNE follows the usual fine-tuning of transformers
# (He et al., MAE, CVPR 2022; Mao et al., MAMP, ICCV 2023): AdamW with weight decay 0.05, and a
# smaller learning rate for the encoder. The rates fall in steps, as in linear evaluation.
LINEAR = Training(epochs=150, batch_size=512, lr=0.03, schedule=(120, 140), wd=0.0)
FINETUNE = Training(
    epochs=60,
    batch_size=64,
    lr=3e-3,
    schedule=(40, 50),
    wd=0.05,
    encoder_lr=3e-4,
    augment="crop",
)


# The default amounts of the curves over incomplete test clips.
AMOUNTS = {
    "observe": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
    "drop_joints": [0, 1, 2, 5, 10, 15],
    "drop_frames": [0.0, 0.2, 0.4, 0.6, 0.8, 0.9],
}


def defaults(task: str, *, finetune: bool = False) -> dict[str, Any]:
    """The settings of a task that make another result, with their defaults.

    task: `recognition` or `retrieval`.
    finetune: whether the encoder is trained, too.

    Encoder, data and seeds are not among them. The order is that of a result's name.
    """
    few = {"label_fraction": None, "labels_per_class": None, "classes": None}
    if task == "retrieval":
        return few | {"knn_neighbours": [1], "standardize": False}
    training = asdict(FINETUNE if finetune else LINEAR)
    training["schedule"] = list(training["schedule"])
    read = {"standardize": False, "tune": False}
    return {"late_fusion": False, "finetune": False} | few | read | training


def changed(task: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that differ from the defaults of their task.

    settings: {name: value}. A setting that is missing, as in older results, has its default.
    """
    usual = defaults(task, finetune=bool(settings.get("finetune")))
    return {key: settings[key] for key in usual if settings.get(key, usual[key]) != usual[key]}


def in_words(key: str, value: Any) -> str:
    """A setting as the name of a result has it: `lr0.1`, `k5`, `10pct`, `finetune`."""
    if value is True:
        return {"standardize": "standardized", "tune": "tuned"}.get(key, key)
    if key == "label_fraction":
        return f"{100 * value:g}pct"
    if key == "labels_per_class":
        return f"{value}perclass"
    name = {"knn_neighbours": "k", "batch_size": "batch"}.get(key, key.replace("_", "-"))
    if isinstance(value, (list, tuple)):
        return name + ("-".join(f"{item:g}" for item in value) or "-none")
    return f"{name}{value:g}" if isinstance(value, (int, float)) else f"{name}-{value}"
