"""What a run's folder holds, as plain values for the page."""

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

MOST_POINTS = 400  # of a curve
# What the curves show, in the order of the page: tag -> title, unit.
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
    """Settings, data, code and progress of a run, from its newest checkpoint; None without one."""
    if not checkpoint.in_folder(folder):
        return None
    found = checkpoint.load(checkpoint.newest(folder))
    return {key: found[key] for key in ("settings", "data", "code", "epoch")}


def results(folder: Path) -> tuple[list[dict[str, Any]], list[Path]]:
    """The results beside a run's checkpoints, and the files that only look like results.

    Each has with it `name`, that of its file; `input`, what the encoder saw and how it was
    evaluated; and `took`, how long that was, or None.
    """
    found, others = saved_results.results(folder)
    for result in found:
        seconds = result.get("seconds")
        result["name"] = result["file"].removesuffix(".json")
        result["input"] = words.evaluation(result)
        result["took"] = words.duration(seconds) if isinstance(seconds, (int, float)) else None
    return found, others


def seconds(folder: Path) -> float:
    """How long a run was trained: the time that each of its event files covers, added up."""
    total = 0.0
    for file in folder.glob("events.out.tfevents.*"):
        times = [event.wall_time for event in EventFileLoader(str(file)).Load()]
        total += max(times, default=0.0) - min(times, default=0.0)
    return total


def curves(folder: Path) -> list[dict]:
    """The scalars of a run's events, thinned out: title, unit and points (step, value) each."""
    events = EventAccumulator(str(folder), {"scalars": 0, "images": 1, "tensors": 1})
    events.Reload()
    there = events.Tags()["scalars"]
    found = []
    for tag, (title, unit) in CURVES.items():
        # All points of a tag may be of steps that a resumed run has not done again yet.
        if values := events.Scalars(tag) if tag in there else []:
            kept = np.unique(np.linspace(0, len(values) - 1, MOST_POINTS).round().astype(int))
            points = [[values[i].step, values[i].value] for i in kept]
            found.append({"tag": tag, "title": title, "unit": unit, "points": points})
    return found


def confusions(folder: Path) -> list[dict]:
    """The confusion matrices beside a run's results: name, names of classes, matrix."""
    found = []
    for path in sorted(folder.glob("*_confusion.csv")):
        table = confusion.read(path)
        name = path.name.removesuffix("_confusion.csv")
        found.append({"name": name, "names": table.names, "matrix": table.matrix.tolist()})
    return found


def clusters(folder: Path) -> dict[str, Any] | None:
    """What tools.tsne wrote beside the checkpoints, with its picture's colors; None without it.

    Raises UserError for a file that it did not write.
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
    """The commands that make what a report may lack."""
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
    """The folder of a run, named by its TEST_NAME or its path. Raises UserError without one."""
    for folder in (Path("checkpoints") / name, Path(name)):
        if folder.is_dir():
            return folder
    raise UserError(
        f"there is no run {name}: neither checkpoints/{name} nor {name} is a folder; "
        f"make it with ./script_pretrain.sh {name}"
    )
