"""Collect what a run's folder holds, as plain values for the page."""

from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from data_gen.preparing.commands import ROOT, command, evaluation
from net import methods
from tools.cli import UserError
from tools.evaluation import confusion, saved_results
from tools.evaluation.clusters import palette
from tools.formats import checkpoint
from tools.report import words

MOST_POINTS = 400  # points of a curve
# The curves in the order of the page: tag -> title, unit.
CURVES = {
    **{tag: (title, "") for tag, title in methods.curve_titles().items()},
    "monitor/knn_5": ("5-NN on held-out training clips", "%"),
    "monitor/knn_5_standardized": ("The same, of standardized features", "%"),
    "features/std": ("Standard deviation of features", ""),
    "train/gradient_norm": ("Gradient norm", ""),
    "train/learning_rate": ("Learning rate", ""),
    "train/clips_per_second": ("Speed", "clips/s"),
    "train/gpu_memory_gib": ("GPU memory", "GiB"),
}


def facts(folder: Path) -> dict[str, Any] | None:
    """Settings, data, code and epochs of a run, from its newest checkpoint.

    None where there is none.
    """
    if not checkpoint.in_folder(folder):
        return None
    found = checkpoint.load(checkpoint.newest(folder))
    return {key: found[key] for key in ("settings", "data", "code", "epoch")}


def results(folder: Path) -> tuple[list[dict[str, Any]], list[Path]]:
    """Read the results in a run's folder; also list the files that only look like results.

    A result has the entries of `saved_results.results` and three more: `name`, the file's name
    without suffix; `input`, what the encoder saw and how it was evaluated; `took`, the duration, or
    None.
    """
    found, others = saved_results.results(folder)
    for result in found:
        seconds = result.get("seconds")
        result["name"] = result["file"].removesuffix(".json")
        result["input"] = words.evaluation(result)
        result["took"] = words.duration(seconds) if isinstance(seconds, (int, float)) else None
    return found, others


def seconds(folder: Path) -> float:
    """Duration of a run's training: the sum of the times that its event files cover."""
    total = 0.0
    for file in folder.glob("events.out.tfevents.*"):
        times = [event.wall_time for event in EventFileLoader(str(file)).Load()]
        total += max(times, default=0.0) - min(times, default=0.0)
    return total


def curves(folder: Path) -> list[dict]:
    """The scalars in a run's events, each with title, unit and a limited number of points."""
    events = EventAccumulator(str(folder), {"scalars": 0, "images": 1, "tensors": 1})
    events.Reload()
    there = events.Tags()["scalars"]
    found = []
    for tag, (title, unit) in CURVES.items():
        # A tag may have no values: a resumed run drops steps that it has to do again.
        if values := events.Scalars(tag) if tag in there else []:
            kept = np.unique(np.linspace(0, len(values) - 1, MOST_POINTS).round().astype(int))
            points = [[values[i].step, values[i].value] for i in kept]
            found.append({"tag": tag, "title": title, "unit": unit, "points": points})
    return found


def confusions(folder: Path) -> list[dict]:
    """The confusion matrices beside a run's results: name, names of the classes, matrix."""
    found = []
    for path in sorted(folder.glob("*_confusion.csv")):
        table = confusion.read(path)
        name = path.name.removesuffix("_confusion.csv")
        found.append({"name": name, "names": table.names, "matrix": table.matrix.tolist()})
    return found


def clusters(folder: Path) -> dict[str, Any] | None:
    """The content of the run's tsne.json, with the colors of its picture; None where there is none.

    Raises UserError for a file that tools.tsne did not write.
    """
    path = folder / "tsne.json"
    if not path.is_file():
        return None
    found = saved_results.read_json(path)
    if not (isinstance(found, dict) and {"classes", "labels", "panels"} <= found.keys()):
        raise UserError(
            f"{path} is not of tools.tsne; make it again with {commands(folder)['tsne']}"
        )
    return found | {"colors": palette(len(found["classes"]))}


def commands(folder: Path) -> dict[str, str]:
    """The commands that make what a report may lack, by name."""
    usual = folder.resolve().parent == ROOT / "checkpoints"
    return {
        "pretraining": command("script_pretrain.sh", folder.resolve().name)
        if usual
        else command("pretrain.py", "--checkpoint-path", folder),
        "recognition": evaluation("recognition", folder),
        "retrieval": evaluation("retrieval", folder),
        "tsne": command("tools.tsne", "--checkpoint", folder),
    }


def find_run(name: str) -> Path:
    """The folder of a run, given its TEST_NAME or its path.

    Raises UserError where there is none.
    """
    for folder in (Path("checkpoints") / name, Path(name)):
        if folder.is_dir():
            return folder
    raise UserError(
        f"there is no run {name}: neither checkpoints/{name} nor {name} is a folder; "
        f"make it with ./script_pretrain.sh {name}"
    )
