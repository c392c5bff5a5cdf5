"""What a run's folder holds, as plain values for the page."""

import json
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from data_gen.datasets.known import KNOWN
from tools import cli
from tools.cli import UserError
from tools.evaluation import confusion, paper
from tools.formats import checkpoint

MOST_POINTS = 400  # of a curve
# What the curves show, in the order of the page: tag -> title, unit.
CURVES = {
    "loss/total": ("Loss", ""),
    "loss/intra": ("Loss: own against fused feature", ""),
    "loss/inter": ("Loss: between modalities", ""),
    "loss/invariance": ("Loss: between views", ""),
    "loss/variance": ("Loss: variance", ""),
    "loss/covariance": ("Loss: covariance", ""),
    "monitor/knn_5": ("5-NN on held-out training clips", "%"),
    "features/std": ("Standard deviation of features", ""),
    "train/gradient_norm": ("Gradient norm", ""),
    "train/learning_rate": ("Learning rate", ""),
    "train/clips_per_second": ("Speed", "clips/s"),
    "train/gpu_memory_gib": ("GPU memory", "GiB"),
}


def run_facts(folder: Path) -> dict | None:
    """Settings, data and progress of a run, from its newest checkpoint; None if it has none."""
    if not checkpoint.in_folder(folder):
        return None
    saved = checkpoint.load(checkpoint.newest(folder))
    return {key: saved[key] for key in ("settings", "data", "epoch")}


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


def results(folder: Path) -> list[dict]:
    """The results beside a run's checkpoints, those of the pre-trained encoder first.

    Each as its JSON, and with it `file`, its name; `paper`, the paper's figure or None;
    `official_test_clips`, of the whole data set, or None; `full`, whether it was tested on those.
    Raises UserError for a file that is no JSON.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        result = read_json(path)
        if not isinstance(result, dict) or result.get("task") not in ("recognition", "retrieval"):
            continue
        dataset = KNOWN.get(result.get("dataset"))
        clips = dataset and dataset.official.get(result.get("protocol"))
        official = clips[1] if clips else None
        result |= {"file": path.name, "paper": paper.figure(result)}
        result |= {"official_test_clips": official, "full": result.get("test_clips") == official}
        found.append(result)
    return sorted(found, key=lambda r: (r.get("encoder") != "pretrained", r["task"]))


def read_json(path: Path):
    """What a JSON file holds. Raises UserError, one line, where it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # of decoding, too
        raise UserError(f"{path} is not JSON ({error}); make it again") from None


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
