"""Results of evaluations: the names of their files, their content, the paper's figures."""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from common import UserError, atomic
from feeder.datasets import NTU_DATASETS
from feeder.mixture import by_data_set
from net import MODALITIES, methods
from tools.evaluation.encoders import LoadedEncoder
from tools.evaluation.features import Scale, TrainTestSplit
from tools.evaluation.probe import FINETUNE, LINEAR
from tools.training import checkpoint
from tools.training.checkpoint import FINGERPRINT

LONGEST_NAME = 120  # characters


def defaults(task: str, *, finetune: bool = False) -> dict[str, Any]:
    """The settings of `recognition` or `retrieval`, in the order of a result's name."""
    few = {"label_fraction": None, "labels_per_class": None, "classes": None}
    if task == "retrieval":
        return {**few, "knn_neighbours": [1], "standardize": False}
    mode = {"late_fusion": False, "finetune": False}
    read = {"standardize": False, "tune": False, "splits": None}
    return {**mode, **few, **read, **asdict(FINETUNE if finetune else LINEAR)}


def changed(task: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that differ from the defaults of their task; one that is missing does not."""
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
    if key == "splits":
        return f"{len(value)}splits-" + "-".join(value)
    name = {"knn_neighbours": "k", "batch_size": "batch"}.get(key, key.replace("_", "-"))
    if isinstance(value, (list, tuple)):
        return name + ("-".join(f"{item:g}" for item in value) or "-none")
    return f"{name}{value:g}" if isinstance(value, (int, float)) else f"{name}-{value}"


@dataclass(frozen=True)
class Evaluation:
    """What is evaluated, and how."""

    task: str  # `recognition` or `retrieval`
    loaded: LoadedEncoder
    data: TrainTestSplit
    modalities: tuple[str, ...]
    settings: Mapping[str, Any]  # of `defaults(task)`; `scale` tells what is standardized
    seed: int = 0  # of the first run; run i has seed + i
    runs: int = 1
    start: float = 0.0  # by `time.perf_counter`
    scale: Scale | None = None  # standardizes the features; None: features as they are

    @property
    def streams(self) -> list[tuple[str, ...]]:
        """The sets of modalities that are encoded, each fused by the encoder."""
        late_fusion = self.settings.get("late_fusion")
        return [(name,) for name in self.modalities] if late_fusion else [self.modalities]

    @property
    def name(self) -> str:
        """The name of its files: the task, and everything that differs from the defaults."""
        loaded, data, source = self.loaded, self.data, self.loaded.source
        trained = by_data_set(loaded.settings["pre_dataset"], loaded.settings["protocol"])
        parts = [self.task]
        if self.modalities != MODALITIES:
            parts.append("-".join(self.modalities))
        settings = {**self.settings, "standardize": self.scale is not None}
        parts += [in_words(*item) for item in changed(self.task, settings).items()]
        if (data.store.dataset, data.protocol) != next(iter(trained.items())):
            parts += [data.store.dataset, data.protocol]
        if loaded.kind != "pretrained":
            parts.append(loaded.kind)
        elif not loaded.is_final:
            folder = source.resolve().parent
            elsewhere = "" if folder == loaded.folder.resolve() else f"{folder.name}-"
            parts.append(f"{elsewhere}{source.stem}")
        parts += [f"seed{self.seed}"] if self.seed else []
        parts += [f"runs{self.runs}"] if self.runs > 1 else []
        name = "_".join(parts)
        if len(name) > LONGEST_NAME:
            name = f"{name[:LONGEST_NAME]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        return name

    @property
    def seeds(self) -> range:
        return range(self.seed, self.seed + self.runs)

    def file(self, suffix: str) -> Path:
        """The path of one of its files, as NAME.json; with "": the folder of its events."""
        return self.loaded.folder / f"{self.name}{suffix}"


def write(evaluation: Evaluation, figures: Mapping[str, Any]) -> Path:
    """Write NAME.json, and NAME_scale.npz of standardized features; return the first's path."""
    loaded, data, scale = evaluation.loaded, evaluation.data, evaluation.scale
    store, saved = data.store, loaded.saved
    result = {
        "task": evaluation.task,
        "encoder": loaded.kind,
        "checkpoint": str(loaded.source),
        "pretraining": saved["settings"],
        "pretraining_data": saved["data"],
        "pretraining_code": saved["code"],
        "dataset": store.dataset,
        "title": store.title,
        "protocol": data.protocol,
        "official_clips": store.description.official.get(data.protocol),
        FINGERPRINT: store.fingerprint,
        "modalities": list(evaluation.modalities),
        "training_clips": len(data.train),
        "test_clips": len(data.test),
        **evaluation.settings,
        "standardize": scale is not None,
        "seed": evaluation.seed,
        "code": checkpoint.code_facts(),
        "seconds": round(time.perf_counter() - evaluation.start, 3),
        **untrained(data),
        **figures,
    }
    with atomic(path := evaluation.file(".json")) as part:
        part.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n")
    if scale:
        arrays = {name: x.squeeze(-2).cpu().numpy() for name, x in scale._asdict().items()}
        with atomic(evaluation.file("_scale.npz")) as part, part.open("wb") as file:
            np.savez(file, **arrays)  # (S, D) float32
    return path


def read(path: Path) -> dict[str, Any] | None:
    """Read a result, or None from a JSON file of something else. UserError if it is not JSON."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}); make it again") from None
    is_result = isinstance(result, dict) and result.get("task") in ("recognition", "retrieval")
    return result if is_result else None


def untrained(data: TrainTestSplit) -> dict[str, Any]:
    """The classes of test clips that have no training clip, and their number of test clips."""
    store, truth = data.store, data.store.label[data.test]
    unseen = np.setdiff1d(truth, store.label[data.train])
    return {
        "classes_without_training": [store.class_names[k] for k in unseen],
        "test_clips_of_classes_without_training": int(np.isin(truth, unseen).sum()),
    }


def print_result(evaluation: Evaluation, figures: str, files: Iterable[Path]) -> None:
    """Print the figures, a note on classes without training clips, and the names of the files."""
    data, scaled = evaluation.data, "features standardized, " if evaluation.scale else ""
    split = f"{data.store.title} {data.protocol}"
    print(f"{evaluation.loaded.kind} encoder, {split}: {scaled}{figures}")
    found = untrained(data)
    if unseen := found["classes_without_training"]:
        clips = found["test_clips_of_classes_without_training"]
        some = f"{clips} of {len(data.test)} test clips belong to classes without training clips"
        print(f"{some}: {', '.join(unseen)}")
    print(f"written to {', '.join(map(str, files))}")


def new_events(folder: Path) -> SummaryWriter:
    """A TensorBoard writer for a folder; older events in the folder are removed."""
    for file in folder.glob("events.out.tfevents.*"):
        file.unlink()
    return SummaryWriter(folder)


# ---- the paper

PAPER = "Sun et al., ACM MM 2023"

_NTU = [(name, protocol) for name, data in NTU_DATASETS.items() for protocol in data.splits]
_ALL = [*_NTU, ("pkummd2", "cross_subject")]

# Evaluation -> {(data set, protocol): percent}
PAPER_FIGURES = {
    "recognition": dict(zip(_ALL, (84.2, 90.9, 75.2, 76.3, 52.6), strict=True)),
    "recognition, joint only": dict(zip(_ALL, (82.3, 89.8, 73.5, 74.3, 52.1), strict=True)),
    "recognition, three streams": dict(zip(_ALL, (84.4, 91.4, 75.8, 77.2, 54.3), strict=True)),
    "retrieval": dict(zip(_NTU, (72.0, 88.9, 59.5, 62.2), strict=True)),
}
# Settings of an evaluation that may differ from the defaults; it is still the paper's evaluation.
_ALIKE = {"late_fusion", "epochs", "batch_size", "lr", "schedule", "wd", "test_every"}


def paper_figure(result: dict[str, Any]) -> float | None:
    """The paper's figure in percent for the same evaluation on the same data, or None.

    The paper tests UmURL on the data of its pre-training, with all labels, by a linear layer or the
    nearest neighbor. Data is the same if the train/test split has the official numbers of clips.
    """
    trained, data = result["pretraining"], result["pretraining_data"]
    same = (
        (trained.get("pre_dataset"), result["dataset"]),
        (trained.get("protocol"), result["protocol"]),
        (data.get(FINGERPRINT), result[FINGERPRINT]),
    )
    if (
        result["encoder"] != "pretrained"
        or (trained.get("method") or methods.DEFAULT) != methods.DEFAULT
        or any(there is not None and there != here for there, here in same)
        or [result["training_clips"], result["test_clips"]] != result["official_clips"]
        or changed(result["task"], result).keys() - _ALIKE
        or (result["task"] == "retrieval" and result["neighbours"] != 1)
    ):
        return None
    evaluation = result["task"]
    if result["modalities"] != list(MODALITIES):
        evaluation += f", {'-'.join(result['modalities'])} only"
    elif result.get("late_fusion"):
        evaluation += ", three streams"
    return PAPER_FIGURES.get(evaluation, {}).get((result["dataset"], result["protocol"]))
