"""What the folders of runs hold, as values for the page."""

import base64
import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from net import methods
from tools.evaluation import paper
from tools.formats import checkpoint

MOST_POINTS = 400  # of a curve
# Settings that belong to the machine and not to the experiment.
LOCAL = {
    *("data_root", "checkpoint_path", "workers", "resident", "resume", "resume_anyway"),
    *("save_every", "keep", "print_freq", "monitor_every", "compile", "no_compile"),
}


def run(folder: Path, name: str) -> dict[str, Any]:
    """Everything that the page shows of one run but its gallery.

    `missing` has what the folder lacks, and the command that makes it.
    """
    saved = checkpoint.load(checkpoint.newest(folder)) if checkpoint.in_folder(folder) else {}
    found = results(folder)
    tasks = {result["task"] for result in found if result["encoder"] == "pretrained"}
    tsne = folder / "tsne.svg"
    needed = {
        "checkpoint": (bool(saved), "pretrain.py --checkpoint-path"),
        "recognition": ("recognition" in tasks, "action_classification.py --checkpoint-path"),
        "retrieval": ("retrieval" in tasks, "action_retrieval.py --checkpoint-path"),
        "t-SNE": (tsne.is_file(), "-m tools.tsne --checkpoint"),
    }
    return {
        "name": name,
        "folder": folder,
        "overview": overview(folder, saved, found) if saved else {},
        **{part: saved.get(part, {}) for part in ("settings", "data", "code")},
        "results": found,
        "curves": curves(folder),
        "confusions": [confusion(path) for path in sorted(folder.glob("*_confusion.csv"))],
        "tsne": base64.b64encode(tsne.read_bytes()).decode() if tsne.is_file() else None,
        "missing": {
            what: f"run python {command} {folder}"
            for what, (there, command) in needed.items()
            if not there
        },
    }


def overview(folder: Path, saved: dict[str, Any], found: list[dict[str, Any]]) -> dict[str, str]:
    """What was trained, on what, with what and how long, in words."""
    settings, data, code = saved["settings"], saved["data"], saved["code"]
    titles = {result["dataset"]: result.get("title") for result in found}
    trained = " + ".join(titles.get(name) or name for name in settings["pre_dataset"].split("/"))
    seconds = 0.0
    for file in folder.glob("events.out.tfevents.*"):  # a resumed run has several
        times = [event.wall_time for event in EventFileLoader(str(file)).Load()]
        seconds += max(times, default=0.0) - min(times, default=0.0)
    return {
        "Method": methods.title(settings.get("method")),
        "Pre-trained on": f"{trained}, {settings['protocol'].replace('_', ' ')}",
        "Training clips": str(data.get("training clips", "–")),
        "Epochs": f"{saved['epoch']} of {settings.get('epochs', '?')}",
        "Encoder": f"{settings.get('encoder', methods.DEFAULT_ENCODER)}, "
        f"hidden size {settings['hidden_size']}, layers {settings['num_layer']}, "
        f"heads {settings['num_head']}",
        "Pre-training took": f"{seconds // 3600:.0f} h {seconds // 60 % 60:.0f} min "
        f"{seconds % 60:.0f} s",
        "Device": str(code.get("device")),
        "Commit": str(code.get("commit"))[:12],
    }


def results(folder: Path) -> list[dict[str, Any]]:
    """The results in a run's folder, with their file's `name` and the `paper`'s figure, or None."""
    found = []
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(result, dict) and result.get("task") in ("recognition", "retrieval"):
            result = {"top1": result.get("accuracy"), "top5": result.get("recall_at_5"), **result}
            rest = dict.fromkeys(("best_top1", "map"), None)
            found.append(rest | {"name": path.stem, "paper": paper.figure(result)} | result)
    return found


def bars(runs: list[dict[str, Any]], task: str) -> list[tuple[str, float, str]]:
    """The figures of the overview: (label, percent, color) of runs, random encoders and paper."""
    found, others = [], {}
    for i, one in enumerate(runs):
        for result in one["results"]:
            if result["name"] == task:
                found.append((one["name"], result["top1"], f"run{i % 6 + 1}"))
                if result["paper"]:
                    others["paper"] = result["paper"]
            elif result["name"] == f"{task}_random":
                others.setdefault("random encoder", result["top1"])
    return found + [(label, value, "muted") for label, value in others.items()]


def side_by_side(runs: list[dict[str, Any]]) -> list[list[dict[str, Any] | None]]:
    """A row for each evaluation: the result of each run, or None where it has none."""
    rows: dict[tuple, list[Any]] = {}
    for i, one in enumerate(runs):
        for result in one["results"]:
            key = tuple(result[k] for k in ("name", "dataset", "protocol"))
            rows.setdefault(key, [None] * len(runs))[i] = result
    return [rows[key] for key in sorted(rows)]


def table(columns: Iterable[dict[str, Any]]) -> list[tuple[str, list[Any]]]:
    """Dictionaries side by side: each key, and its value in each of them."""
    columns = list(columns)
    keys = dict.fromkeys(key for column in columns for key in column)
    return [(key, [column.get(key, "–") for column in columns]) for key in keys]


def differences(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each run, the settings and the facts of the data in which runs differ."""
    columns = [one["data"] | one["settings"] for one in runs if one["settings"]]
    same = {key for key, values in table(columns) if all(value == values[0] for value in values)}
    return [
        {k: v for k, v in (one["data"] | one["settings"]).items() if k not in same | LOCAL}
        for one in runs
    ]


def curves(folder: Path) -> dict[str, np.ndarray]:
    """{tag: (n, 2) steps and values} of the scalars in a run's events."""
    events = EventAccumulator(str(folder), {"scalars": 0, "images": 1, "tensors": 1})
    events.Reload()
    found = {}
    for tag in events.Tags()["scalars"]:
        points = np.array([(event.step, event.value) for event in events.Scalars(tag)])
        if len(points):  # a resumed run drops the points that it is going to write again
            kept = np.linspace(0, len(points) - 1, min(len(points), MOST_POINTS)).round()
            found[tag] = points[kept.astype(int)]
    return found


def confusion(path: Path) -> dict[str, Any]:
    """A confusion matrix (rows: true class), and the tables that lie beside it."""
    stem = path.name.removesuffix("_confusion.csv")
    (_, *names), *rows = read_csv(path)
    head, *classes = read_csv(path.with_name(f"{stem}_classes.csv"))
    classes.sort(key=lambda row: float(row[2]))
    return {
        "name": stem,
        "names": names,
        "matrix": np.array([row[1:] for row in rows], dtype=int),
        "tables": [[head, *classes], read_csv(path.with_name(f"{stem}_pairs.csv"))],
    }


def read_csv(path: Path) -> list[list[str]]:
    """The rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))
