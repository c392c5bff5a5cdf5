"""What the folders of runs hold, as values for the page."""

import base64
import io
from collections import Counter
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from common import UserError
from data_gen.readers.recording import FPS
from feeder.store import Store, open_store
from net import methods
from tools.drawing.skeletons import BODY_COLORS, evenly, fit, scene
from tools.evaluation.results import paper_figure, read
from tools.formats.tables import read_csv
from tools.training import checkpoint

COLORS = ("#1f5fbf", "#b34d05", "#17734a", "#8a3fa0", "#b3261e", "#5c636a")  # of runs
MOST_POINTS = 400  # of a curve
MOST_PAIRS = 10  # of classes that are taken for each other
KEYFRAMES = 32  # of a clip; the page interpolates between them
UNIT, ABSENT = 1000, -1  # the side of a picture, and a joint that is not there
NOT_SHOWN = checkpoint.IDLE - {"recipe"}  # settings in which runs may differ


def run(folder: Path, name: str) -> dict[str, Any]:
    """Everything that the page shows of one run but its gallery."""
    saved = checkpoint.load(checkpoint.newest(folder)) if checkpoint.in_folder(folder) else {}
    found = results(folder)
    return {
        "name": name,
        "overview": overview(saved, found) if saved else {},
        **{part: saved.get(part, {}) for part in ("settings", "data", "code")},
        "results": found,
        "curves": curves(folder),
        "confusions": [confusion(path) for path in sorted(folder.glob("*_confusion.png"))],
    }


def overview(saved: dict[str, Any], found: list[dict[str, Any]]) -> dict[str, Any]:
    """What was trained, on what, and how long."""
    settings = saved["settings"]
    titles = {result["dataset"]: result.get("title") for result in found}
    trained = " + ".join(titles.get(name) or name for name in settings["pre_dataset"].split("/"))
    return {
        "method": methods.title(settings.get("method")),
        "pre-trained on": f"{trained}, {settings['protocol'].replace('_', ' ')}",
        "training clips": saved["data"].get("training clips", "–"),
        "epochs": f"{saved['epoch']} of {settings.get('epochs', '?')}",
    }


def results(folder: Path) -> list[dict[str, Any]]:
    """The results in a run's folder, with their file's `name` and the `paper`'s figure, or None."""
    found = []
    for path in sorted(folder.glob("*.json")):
        if result := read(path):
            same = {"top1": result.get("accuracy"), "top5": result.get("recall_at_5")}
            found.append({"name": path.stem, "paper": paper_figure(result), **same, **result})
    return found


def side_by_side(runs: list[dict[str, Any]]) -> list[list[dict[str, Any] | None]]:
    """A row for each evaluation: the result of each run, or None where it has none."""
    rows: dict[tuple, list[Any]] = {}
    for i, one in enumerate(runs):
        for result in one["results"]:
            key = tuple(result[k] for k in ("name", "dataset", "protocol"))
            rows.setdefault(key, [None] * len(runs))[i] = result
    return [rows[key] for key in sorted(rows)]


def differences(runs: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """{name: its values} of the settings, and facts of data and code, in which runs differ."""
    columns = [one["data"] | one["code"] | one["settings"] for one in runs]
    keys = dict.fromkeys(key for column in columns for key in column if key not in NOT_SHOWN)
    table = {key: [column.get(key, "–") for column in columns] for key in keys}
    return {key: values for key, values in table.items() if any(v != values[0] for v in values)}


def curves(folder: Path) -> dict[str, np.ndarray]:
    """{tag: (n, 2) steps and values} of the scalars in a run's events."""
    events = EventAccumulator(str(folder), {"scalars": MOST_POINTS, "images": 1, "tensors": 1})
    events.Reload()
    found = {}
    for tag in events.Tags()["scalars"]:
        # A resumed run drops the points that it is going to write again; maybe none is left.
        if points := [(point.step, point.value) for point in events.Scalars(tag)]:
            found[tag] = np.array(points)
    return found


def charts(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One chart for each TensorBoard tag, losses first: {title, svg, last: [(color of a run, its
    last value)]}.
    """
    made, tags = [], {tag for one in runs for tag in one["curves"]}
    for tag in sorted(tags, key=lambda t: (t != "loss/total", not t.startswith("loss/"), t)):
        figure, last = Figure((3.2, 1.6), layout="constrained"), []
        axes = figure.add_subplot()
        for i, one in enumerate(runs):
            if tag in one["curves"]:
                steps, values = one["curves"][tag].T
                color = COLORS[i % len(COLORS)]
                axes.plot(steps, values, color=color, lw=1.2, marker="." if len(steps) == 1 else "")
                last.append((color, f"{values[-1]:.4g}"))
        axes.set_xlabel("step", fontsize=7)
        axes.tick_params(labelsize=7)
        axes.grid(axis="y", linewidth=0.4)
        axes.spines[["top", "right"]].set_visible(False)
        text = io.StringIO()
        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "umurl"}):
            figure.savefig(text, format="svg", metadata={"Date": None})
        svg = text.getvalue()[text.getvalue().index("<svg") :]
        made.append({"title": tag, "last": last, "svg": svg})
    return made


def confusion(path: Path) -> dict[str, Any]:
    """The picture of a confusion matrix, and the pairs of classes that lie beside it."""
    stem = path.name.removesuffix("_confusion.png")
    header, pairs = read_csv(path.with_name(f"{stem}_pairs.csv"))
    png = base64.b64encode(path.read_bytes()).decode()
    return {"name": stem, "png": png, "pairs": [header, *pairs[:MOST_PAIRS]]}


def gallery(folder: Path, run: dict[str, Any], data_root: str | None, most: int) -> dict[str, Any]:
    """Draw queries from retrieval's table of neighbors, `most` of them, and pack the clips to show.

    run: as `content.run` returns it
    Raises UserError where there is no table or no store, or where the store lacks a clip.
    """
    settings = run["settings"]
    usual = "retrieval", f"retrieval_{settings.get('method')}"  # the latter of joint, bone, motion
    found = [one for one in run["results"] if one["name"] in usual]
    table = folder / f"{found[0]['name'] if found else usual[0]}_neighbours.csv"
    if not (table.is_file() and settings and found):
        raise UserError(f"run python action_retrieval.py --checkpoint-path {folder}")
    store = open_store(data_root or settings["data_root"], found[0]["dataset"])
    _, lines = read_csv(table)  # query, then name and similarity of each neighbor
    rows = {name: row for row, name in enumerate(store.names)}
    if lost := {name for line in lines for name in (line[0], *line[1::2])} - rows.keys():
        raise UserError(f"{table} names {min(lost)}, which {store.folder} does not hold")
    label = {name: int(store.label[row]) for name, row in rows.items()}
    right = [label[line[0]] == label[line[1]] for line in lines]

    chosen = [lines[i] for i in choose([label[line[0]] for line in lines], right, most)]
    needed = sorted({name for line in chosen for name in (line[0], *line[1::2])})
    clips = {name: pack(store, rows[name]) for name in needed}
    player = {"parents": store.skeleton.parents, "colors": BODY_COLORS, "side": UNIT}
    shown = {"queries": chosen, "label": label, "names": store.class_names}
    return shown | {"total": len(lines), "right": sum(right), "player": player | {"clips": clips}}


def choose(classes: list[int], right: list[bool], most: int) -> list[int]:
    """Draw queries evenly from the classes, and from those whose nearest clip is right or wrong:
    indices, sorted by class, right ones first.
    """
    kinds = [(label, not is_right) for label, is_right in zip(classes, right, strict=True)]
    turns, drawn = {}, Counter()
    for i in np.random.default_rng(0).permutation(len(kinds)).tolist():
        turns[i] = drawn[kinds[i]]  # how many of its kind were drawn before
        drawn[kinds[i]] += 1
    return sorted(sorted(turns, key=turns.get)[:most], key=kinds.__getitem__)


def pack(store: Store, row: int) -> dict[str, Any]:
    """The joints of a clip in its picture: frames[k][body][joint] = [x, y], y up, or ABSENT."""
    frames = int(store.length[row])
    clip = store.clip(row)[evenly(frames, KEYFRAMES)]  # (K, M, V, C)
    clip = clip[:, clip.any((0, 2, 3))]
    (fitted,) = fit(scene(clip, skeleton=store.skeleton))
    points = np.nan_to_num(UNIT * fitted.dots, nan=ABSENT).round().astype(int)
    return {"seconds": frames / FPS, "frames": points.tolist()}
