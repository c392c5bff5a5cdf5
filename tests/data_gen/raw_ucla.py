"""Write raw NW-UCLA files for tests: random people, in the JSON form of the real files."""

import itertools
import json
from pathlib import Path

import numpy as np

LABELS = {1: 1, 6: 6, 8: 7, 12: 10}  # number in the name: label
NAMES = [
    f"a{action:02d}_s{subject:02d}_e{repetition:02d}_v{view:02d}"
    for action, subject, repetition, view in itertools.product(LABELS, (1, 2), (0, 3), (1, 2, 3))
]


def body(name: str) -> np.ndarray:
    """Joints (T, 20, 3) in metres, rounded as in the files."""
    rng = np.random.default_rng(list(name.encode()))
    return np.round(rng.normal((0, 0, 3), 0.4, (int(rng.integers(1, 40)), 20, 3)), 6)


def content(name: str) -> dict:
    label = LABELS[int(name[1:3])]
    return {"file_name": name, "skeletons": body(name).tolist(), "label": label}


def write_dataset(folder: Path) -> Path:
    """Write 48 clips to the folder all_sqe; return this folder."""
    place = folder / "all_sqe"
    place.mkdir(parents=True)
    for name in NAMES:
        (place / f"{name}.json").write_text(json.dumps(content(name)))
    return place
