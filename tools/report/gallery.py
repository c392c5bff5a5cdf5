"""The gallery of a report: queries and their nearest training clips as moving skeletons."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from common import UserError
from feeder.store import Store, open_store
from tools.drawing.skeletons import BODY_COLORS, evenly, fit, scene
from tools.formats.tables import read_csv

KEYFRAMES = 32  # of a clip; the page interpolates between them
FPS = 30  # of the recordings
UNIT, ABSENT = 1000, -1  # the side of a picture, and a joint that is not there


def build(folder: Path, run: dict[str, Any], data_root: str | None, most: int) -> dict[str, Any]:
    """Draw queries from retrieval_neighbours.csv, `most` of them, and pack the clips to show.

    run: as `content.run` returns it
    Raises UserError where there is no table or no store, or where the store lacks a clip.
    """
    table = folder / "retrieval_neighbours.csv"
    searched = [one["dataset"] for one in run["results"] if one["name"] == "retrieval"]
    if not (table.is_file() and run["settings"] and searched):
        raise UserError(f"run python action_retrieval.py --checkpoint-path {folder}")
    store = open_store(data_root or run["settings"]["data_root"], searched[0])
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
    indices, sorted by class, right ones first."""
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
