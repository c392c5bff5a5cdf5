"""The gallery of a report: queries and their nearest training clips as small moving skeletons."""

import base64
from pathlib import Path

import numpy as np

from feeder.store import Store
from tools.cli import UserError
from tools.drawing.skeletons import PITCH, YAW
from tools.evaluation import retrieved_clips

KEYFRAMES = 32  # frames that are packed of a clip; the page interpolates between them
FPS = 30  # frames of a second in the recordings
MILLIMETRES = 1000.0  # of a metre; 16 bits hold up to 32 metres


def build(table: Path, store: Store, most: int, seed: int = 0) -> dict:
    """Choose some queries of a table of retrieved clips, and pack everything that the page draws.

    table: the CSV file that `retrieved_clips.write` wrote.
    store: holds the clips.
    most: number of queries.
    seed: draws the queries.
    Returns a dictionary:
        names      names of the classes
        parents    the parent of each of the V joints
        origin     the joint at zero, or None
        yaw, pitch degrees, the direction of view
        clips      {name: class, seconds, frames, bodies, data}; data is base64 of int16 millimetres
                   (frames, bodies, V, 3), little-endian
        queries    [{name, found: [{name, similarity}]}]
        total      number of queries in the table
        right      number of queries in the table whose nearest clip has their class
    Raises UserError where the store lacks a clip.
    """
    rows = {name: row for row, name in enumerate(store.names)}
    found = retrieved_clips.read(table)
    for name in {*found.queries, *(name for names in found.found for name in names)}:
        if name not in rows:
            raise UserError(f"{table} names {name}, which {store.folder} does not hold")
    label = {name: int(store.label[row]) for name, row in rows.items()}
    right = np.array(
        [label[q] == label[f[0]] for q, f in zip(found.queries, found.found, strict=True)]
    )
    classes = np.array([label[query] for query in found.queries])
    queries = []
    for i in choose(classes, right, most, seed):
        pairs = zip(found.found[i], found.similarity[i].tolist(), strict=True)
        shown = [{"name": name, "similarity": round(s, 4)} for name, s in pairs]
        queries.append({"name": found.queries[i], "found": shown})
    needed = {q["name"] for q in queries} | {f["name"] for q in queries for f in q["found"]}
    return {
        "names": store.class_names,
        "parents": list(store.skeleton.parents),
        "origin": store.skeleton.origin[0] if len(store.skeleton.origin) == 1 else None,
        "yaw": YAW,
        "pitch": PITCH,
        "clips": {name: pack(store, rows[name]) for name in sorted(needed)},
        "queries": queries,
        "total": len(found.queries),
        "right": int(right.sum()),
    }


def choose(classes: np.ndarray, right: np.ndarray, most: int, seed: int) -> list[int]:
    """Choose queries: evenly from each class, and evenly from right and wrong ones.

    classes: (n,) of the queries.
    right: (n,) bool, whether the nearest clip has the query's class.
    most: number of queries to choose.
    Returns indices, sorted by class, right ones first.
    """
    order = np.random.default_rng(seed).permutation(len(classes))
    turn = np.empty(len(classes), int)
    for kind in set(zip(classes.tolist(), right.tolist(), strict=True)):
        members = order[(classes[order] == kind[0]) & (right[order] == kind[1])]
        turn[members] = np.arange(len(members))
    chosen = order[np.argsort(turn[order], kind="stable")][:most]
    return chosen[np.lexsort((~right[chosen], classes[chosen]))].tolist()


def pack(store: Store, row: int) -> dict:
    """Pack a clip for the page: evenly spread frames, without bodies that never appear."""
    frames = int(store.length[row])
    kept = np.linspace(0, frames - 1, min(frames, KEYFRAMES)).round().astype(int)
    clip = store.clip(row)[kept]  # (K, M, V, C)
    there = np.flatnonzero(clip.any((0, 2, 3)))
    bodies = 1 + int(there.max(initial=0))
    packed = (clip[:, :bodies] * MILLIMETRES).round().clip(-(2**15), 2**15 - 1).astype("<i2")
    return {
        "class": int(store.label[row]),
        "seconds": round(frames / FPS, 2),
        "frames": len(kept),
        "bodies": bodies,
        "data": base64.b64encode(packed.tobytes()).decode(),
    }
