"""Results of evaluations: the names of their files, their content, writing and reading them."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from common import UserError, atomic
from feeder.mixture import by_data_set
from net import MODALITIES
from tools.evaluation.encoders import LoadedEncoder
from tools.evaluation.features import Scale, TrainTestSplit
from tools.evaluation.finetuning import FINETUNE
from tools.evaluation.probe import LINEAR
from tools.training import checkpoint

LONGEST_NAME = 120  # characters
FINGERPRINT = "samples.csv sha256"  # the name of a store's fingerprint in results and checkpoints


# ---- settings and names


def defaults(task: str, *, finetune: bool = False) -> dict[str, Any]:
    """The settings of `recognition` or `retrieval`, in the order of a result's name."""
    few = {"label_fraction": None, "labels_per_class": None, "classes": None}
    if task == "retrieval":
        return {**few, "knn_neighbours": [1], "standardize": False}
    training = asdict(FINETUNE if finetune else LINEAR)
    training["schedule"] = list(training["schedule"])
    mode = {"late_fusion": False, "finetune": False}
    read = {"standardize": False, "tune": False, "splits": None}
    return {**mode, **few, **read, **training}


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
        return f"{len(value)}splits"
    name = {"knn_neighbours": "k", "batch_size": "batch"}.get(key, key.replace("_", "-"))
    if isinstance(value, (list, tuple)):
        return name + ("-".join(f"{item:g}" for item in value) or "-none")
    return f"{name}{value:g}" if isinstance(value, (int, float)) else f"{name}-{value}"


@dataclass(frozen=True)
class Evaluation:
    """What is evaluated, and how.

    task: `recognition` or `retrieval`; settings: all of `defaults(task)` but `standardize`.
    seed: of the first of the runs; each has the next one.
    start: of the evaluation, by `time.perf_counter`.
    scale: standardizes the features; None: features as they are.
    """

    task: str
    loaded: LoadedEncoder
    data: TrainTestSplit
    modalities: tuple[str, ...]
    settings: Mapping[str, Any]
    seed: int = 0
    runs: int = 1
    start: float = 0.0
    scale: Scale | None = None

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
        """The seeds of its runs."""
        return range(self.seed, self.seed + self.runs)

    def file(self, suffix: str) -> Path:
        """The path of one of its files, as NAME.json; with "": the folder of its events."""
        return self.loaded.folder / f"{self.name}{suffix}"

    def facts(self) -> dict[str, Any]:
        """Everything that a result tells beside its figures."""
        store, saved = self.data.store, self.loaded.saved
        return {
            "task": self.task,
            "encoder": self.loaded.kind,
            "checkpoint": str(self.loaded.source),
            "pretraining": saved["settings"],
            "pretraining_data": saved["data"],
            "pretraining_code": saved["code"],
            "dataset": store.dataset,
            "title": store.title,
            "protocol": self.data.protocol,
            "official_clips": store.description.official.get(self.data.protocol),
            FINGERPRINT: store.fingerprint,
            "modalities": list(self.modalities),
            "training_clips": len(self.data.train),
            "test_clips": len(self.data.test),
            **self.settings,
            "standardize": self.scale is not None,
            "seed": self.seed,
            "code": checkpoint.code_facts(),
            "seconds": round(time.perf_counter() - self.start, 3),
        }


# ---- writing and reading


def write(evaluation: Evaluation, figures: Mapping[str, Any]) -> Path:
    """Write NAME.json, and NAME_scale.npz of standardized features; return the result's path."""
    text = json.dumps(evaluation.facts() | dict(figures), indent=2, allow_nan=False)
    with atomic(path := evaluation.file(".json")) as part:
        part.write_text(text + "\n")
    if scale := evaluation.scale:
        arrays = {name: x.squeeze(-2).cpu().numpy() for name, x in scale._asdict().items()}
        with atomic(evaluation.file("_scale.npz")) as part, part.open("wb") as file:
            np.savez(file, **arrays)  # (S, D) float32
    return path


def new_events(folder: Path) -> SummaryWriter:
    """A TensorBoard writer for a folder; older events in the folder are removed."""
    for file in folder.glob("events.out.tfevents.*"):
        file.unlink()
    return SummaryWriter(folder)


def read(folder: Path) -> list[dict[str, Any]]:
    """The results in a run's folder, with their `file`; those of the pre-trained encoder first.

    Raises UserError for a file that is no JSON.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        value = read_json(path)
        if isinstance(value, dict) and value.get("task") in ("recognition", "retrieval"):
            found.append({**value, "file": path.name})
    return sorted(found, key=lambda result: (result["encoder"] != "pretrained", result["task"]))


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises UserError where it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}); make it again") from None
