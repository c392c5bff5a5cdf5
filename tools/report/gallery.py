"""The gallery of a report: queries and their nearest training clips as moving skeletons."""

import base64
from typing import Any

import numpy as np

from common import UserError
from feeder.store import Store, open_store
from tools.drawing.skeletons import evenly, fit, scene
from tools.report.content import read_csv

KEYFRAMES = 32  # of a clip; the page interpolates between them
FPS = 30  # of the recordings
UNIT, ABSENT = 60000, 65535  # the side of a picture, and a joint that is not there, in 16 bits


def build(run: dict[str, Any], data_root: str | None, most: int, seed: int = 0) -> dict[str, Any]:
    """Choose queries of a run's retrieval_neighbours.csv and pack the clips that the page draws.

    run: as `content.run` returns it.
    data_root: folder of the stores; None: the checkpoint's.
    most, seed: number of queries, and the seed that draws them.

    Raises UserError where there is no table or no store, or where the store lacks a clip.
    """
    table = run["folder"] / "retrieval_neighbours.csv"
    searched = [one["dataset"] for one in run["results"] if one["name"] == "retrieval"]
    if not (table.is_file() and run["settings"] and searched):
        raise UserError(f"run python action_retrieval.py --checkpoint-path {run['folder']}")
    store = open_store(data_root or run["settings"]["data_root"], searched[0])
    lines = read_csv(table)[1:]  # query, then name and similarity of each neighbor
    rows = {name: row for row, name in enumerate(store.names)}
    if lost := {name for line in lines for name in (line[0], *line[1::2])} - rows.keys():
        raise UserError(f"{table} names {min(lost)}, which {store.folder} does not hold")
    label = {name: int(store.label[row]) for name, row in rows.items()}
    right = np.array([label[line[0]] == label[line[1]] for line in lines])

    chosen = choose(np.array([label[line[0]] for line in lines]), right, most, seed)
    needed = {name for i in chosen for name in (lines[i][0], *lines[i][1::2])}
    return {
        "queries": [lines[i] for i in chosen],
        "label": label,
        "names": store.class_names,
        "shown": sorted({label[lines[i][0]] for i in chosen}),
        "total": len(lines),
        "right": int(right.sum()),
        "parents": store.skeleton.parents,
        "clips": {name: pack(store, rows[name]) for name in sorted(needed)},
    }


def choose(classes: np.ndarray, right: np.ndarray, most: int, seed: int) -> list[int]:
    """Choose queries evenly from each class, and evenly from right and wrong ones.

    classes: (n,) of the queries.
    right: (n,) bool, whether the nearest clip has the query's class.
    Returns indices, sorted by class, right ones first.
    """
    kind, order = 2 * classes + ~right, np.random.default_rng(seed).permutation(len(classes))
    turn = np.empty(len(classes), int)  # of a query among those of its kind
    for each in np.unique(kind):
        members = order[kind[order] == each]
        turn[members] = np.arange(len(members))
    chosen = order[np.argsort(turn[order], kind="stable")][:most]
    return chosen[np.argsort(kind[chosen], kind="stable")].tolist()


def pack(store: Store, row: int) -> dict[str, Any]:
    """Positions of a clip's joints in its picture, as base64 of uint16 (frames, M, V, 2)."""
    frames = int(store.length[row])
    clip = store.clip(row)[evenly(frames, KEYFRAMES)]  # (K, M, V, C)
    clip = clip[:, clip.any((0, 2, 3))]
    (fitted,) = fit(scene(clip, skeleton=store.skeleton))
    points = np.where(np.isnan(fitted.dots), ABSENT, fitted.dots * UNIT).round().astype("<u2")
    data = base64.b64encode(points.tobytes()).decode()
    return {"seconds": frames / FPS, "bodies": clip.shape[1], "data": data}
