"""Results of evaluations: the names of their files, their content, and how they are written."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils.tensorboard import SummaryWriter

from data_gen.preparing.files import whole_file
from feeder.mixture import by_data_set
from net import MODALITIES
from tools.evaluation.encoders import LoadedEncoder
from tools.evaluation.features import Halves
from tools.evaluation.paper import FINGERPRINT
from tools.evaluation.recognition import Run
from tools.evaluation.retrieval import Retrieval
from tools.evaluation.settings import changed, in_words
from tools.formats import checkpoint

LONGEST_NAME = 120  # characters


class Evaluation(NamedTuple):
    """What is evaluated, and how.

    task: `recognition` or `retrieval`.
    loaded: the encoder.
    data: the training and the test clips.
    modalities: what the encoder sees.
    settings: the names and values that `settings.defaults` lists.
    seed: of the first run.
    runs: number of runs; each has the next seed.
    start: time at which the evaluation began, by `time.perf_counter`.
    """

    task: str
    loaded: LoadedEncoder
    data: Halves
    modalities: tuple[str, ...]
    settings: Mapping[str, Any]
    seed: int = 0
    runs: int = 1
    start: float = 0.0

    @property
    def name(self) -> str:
        """The name of its files: the task, and everything that differs from the defaults."""
        parts = [self.task]
        if self.modalities != MODALITIES:
            parts.append("-".join(self.modalities))
        parts += [in_words(*item) for item in changed(self.task, self.settings).items()]
        settings = self.loaded.settings
        trained = by_data_set(settings["pre_dataset"], settings["protocol"])
        if (self.data.store.dataset, self.data.protocol) != next(iter(trained.items())):
            parts += [self.data.store.dataset, self.data.protocol]
        if self.loaded.kind != "pretrained":
            parts.append(self.loaded.kind)
        elif not self.loaded.is_final:
            source = self.loaded.source
            beside = source.resolve().parent == self.loaded.folder.resolve()
            parts.append(source.stem if beside else f"{source.resolve().parent.name}-{source.stem}")
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

    @property
    def path(self) -> Path:
        """The path of its result."""
        return self.loaded.folder / f"{self.name}.json"

    @property
    def events(self) -> Path:
        """The folder of its TensorBoard events."""
        return self.loaded.folder / self.name

    def facts(self) -> dict[str, Any]:
        """Everything that a result tells beside its figures."""
        store = self.data.store
        return {
            "task": self.task,
            "encoder": self.loaded.kind,
            "checkpoint": str(self.loaded.source),
            "pretraining": self.loaded.settings,
            "pretraining_data": self.loaded.saved["data"],
            "pretraining_code": self.loaded.saved["code"],
            "dataset": store.dataset,
            "title": store.title,
            "protocol": self.data.protocol,
            "official_clips": store.official(self.data.protocol),
            FINGERPRINT: store.fingerprint,
            "modalities": list(self.modalities),
            "training_clips": len(self.data.train),
            "test_clips": len(self.data.test),
            **self.settings,
            "seed": self.seed,
            "code": checkpoint.code_facts(),
            "seconds": round(time.perf_counter() - self.start, 3),
        }


def write(evaluation: Evaluation, figures: Mapping[str, Any]) -> Path:
    """Write a result into the run's folder, whole or not at all; returns its path.

    figures: plain values; numbers must be finite.
    """
    path = evaluation.path
    text = json.dumps(evaluation.facts() | dict(figures), indent=2, allow_nan=False)
    with whole_file(path) as part:
        part.write_text(text + "\n")
    return path


def new_events(folder: Path) -> SummaryWriter:
    """A TensorBoard writer for a folder; older events in the folder are removed."""
    for file in folder.glob("events.out.tfevents.*"):
        file.unlink()
    return SummaryWriter(folder)


def write_curves(folder: Path, runs: Sequence[Run]) -> None:
    """Write loss and accuracy of each run's tests as TensorBoard curves.

    Older curves are removed.
    """
    for run in runs:
        with new_events(folder / f"seed{run.seed}") as writer:
            for test in run.tests:
                for name in ("loss", "top1", "top5"):
                    writer.add_scalar(f"recognition/{name}", test[name], test["epoch"])


def predicted(runs: Sequence[Run | Retrieval]) -> torch.Tensor:
    """The classes that all runs predicted for the test clips: (runs · m,)."""
    return torch.cat([run.predicted for run in runs])
