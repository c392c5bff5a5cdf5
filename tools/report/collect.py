"""What a run's folder holds, as plain values for the page."""

from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from net import methods
from tools import cli
from tools.evaluation import confusion
from tools.evaluation.saved import read_json
from tools.formats import checkpoint

MOST_POINTS = 400  # of a curve
# What the curves show, in the order of the page: tag -> title, unit.
CURVES = {
    **{tag: (title, "") for tag, title in methods.curve_titles().items()},
    "monitor/knn_5": ("5-NN on held-out training clips", "%"),
    "features/std": ("Standard deviation of features", ""),
    "train/gradient_norm": ("Gradient norm", ""),
    "train/learning_rate": ("Learning rate", ""),
    "train/clips_per_second": ("Speed", "clips/s"),
    "train/gpu_memory_gib": ("GPU memory", "GiB"),
}


def run_facts(folder: Path) -> dict | None:
    """Method, settings, data and progress of a run, from its newest checkpoint; or None."""
    if not checkpoint.in_folder(folder):
        return None
    saved = checkpoint.load(checkpoint.newest(folder))
    facts = {key: saved[key] for key in ("settings", "data", "epoch")}
    return facts | {"method": methods.title(saved["settings"].get("method"))}


def curves(folder: Path) -> list[dict]:
    """The scalars of a run's events, thinned out: title, unit and points (step, value) each."""
    events = EventAccumulator(str(folder), {"scalars": 0, "images": 1, "tensors": 1})
    events.Reload()
    there = events.Tags()["scalars"]
    found = []
    for tag, (title, unit) in CURVES.items():
        if tag in there:
            values = events.Scalars(tag)
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


def clusters(folder: Path) -> dict | None:
    """What tools.tsne wrote beside the checkpoints; None if it did not."""
    path = folder / "tsne.json"
    return read_json(path) if path.is_file() else None


def commands(folder: Path) -> dict[str, str]:
    """The commands that make what a report may lack."""
    named = folder.parent.resolve() == Path("checkpoints").resolve()

    def entry(script: str, module: str) -> str:
        if named:
            return f"./{script} {folder.name}"
        return f"python {module} --checkpoint-path {folder}"

    return {
        "pretraining": entry("script_pretrain.sh", "pretrain.py"),
        "recognition": entry("script_action_recognition.sh", "action_classification.py"),
        "retrieval": entry("script_action_retrieval.sh", "action_retrieval.py"),
        "tsne": f"python -m tools.tsne --checkpoint {folder}",
    }


def find_run(name: str) -> Path:
    """The folder of a run, named by its TEST_NAME or its path. Raises UserError without one."""
    for folder in (Path("checkpoints") / name, Path(name)):
        if folder.is_dir():
            return folder
    raise cli.UserError(
        f"there is no run {name}: neither checkpoints/{name} nor {name} is a folder; "
        f"make it with ./script_pretrain.sh {name}"
    )
