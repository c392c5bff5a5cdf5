"""The paper's figures: top-1 and 1-NN accuracy in percent (Sun et al., ACM MM 2023, 2311.03106)."""

from typing import Any

from net import methods
from tools.evaluation.settings import changed

SOURCE = "Sun et al., ACM MM 2023"
FINGERPRINT = "samples.csv sha256"  # the name of a store's fingerprint in results and checkpoints

_NTU = (
    ("ntu60", "cross_subject"),
    ("ntu60", "cross_view"),
    ("ntu120", "cross_subject"),
    ("ntu120", "cross_setup"),
)
_PKU2 = (("pkummd2", "cross_subject"),)

# Evaluation -> {(data set, protocol): percent}. For recognition of one stream on NTU-120
# cross_setup the paper has 76.3; the README of its repository has 74.3.
FIGURES = {
    "recognition": dict(zip(_NTU + _PKU2, (84.2, 90.9, 75.2, 76.3, 52.6), strict=True)),
    "recognition, joint only": dict(zip(_NTU + _PKU2, (82.3, 89.8, 73.5, 74.3, 52.1), strict=True)),
    "recognition, three streams": dict(
        zip(_NTU + _PKU2, (84.4, 91.4, 75.8, 77.2, 54.3), strict=True)
    ),
    "retrieval": dict(zip(_NTU, (72.0, 88.9, 59.5, 62.2), strict=True)),
}


# Settings of an evaluation that may differ from the defaults; it is still the paper's evaluation.
_ALIKE = {"late_fusion", "epochs", "batch_size", "lr", "schedule", "wd", "test_every"}


def kind(result: dict[str, Any]) -> str | None:
    """The name in FIGURES of a result's evaluation; None where the paper has no such evaluation.

    result: as read from its JSON file.

    The paper's figures are of UmURL, pre-trained on the data on which it is tested, with all
    labels, by a linear layer or the nearest neighbor.
    """
    modalities = result.get("modalities", ["joint", "bone", "motion"])
    if result.get("encoder") != "pretrained" or changed(result["task"], result).keys() - _ALIKE:
        return None
    trained = result.get("pretraining", {})
    data = result.get("pretraining_data", {})
    same = (
        (trained.get("pre_dataset"), result.get("dataset")),
        (trained.get("protocol"), result.get("protocol")),
        (data.get(FINGERPRINT), result.get(FINGERPRINT)),
    )
    moved = any(here is not None and here != there for here, there in same)
    other_method = (trained.get("method") or methods.DEFAULT) != methods.DEFAULT
    if moved or other_method or result.get("neighbours", 1) != 1:
        return None
    if len(modalities) == 3:
        late = result["task"] == "recognition" and result.get("late_fusion")
        return "recognition, three streams" if late else result["task"]
    joint = result["task"] == "recognition" and modalities == ["joint"]
    return "recognition, joint only" if joint else None


def figure(result: dict[str, Any]) -> float | None:
    """The paper's figure in percent for the same evaluation on the same data.

    None if there is none.

    result: as read from its JSON file.

    The data is the same if both halves have as many clips as the official ones.
    """
    if [result.get("training_clips"), result.get("test_clips")] != result.get("official_clips"):
        return None
    return FIGURES.get(kind(result), {}).get((result.get("dataset"), result.get("protocol")))
