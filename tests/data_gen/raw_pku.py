"""Raw PKU-MMD files: random people, in the folders and spelling of both released phases."""

from pathlib import Path

import numpy as np

NAMES = {
    "pkummd1": [f"{number:04d}-{view}" for number in (2, 3, 5, 8) for view in "LMR"],
    "pkummd2": [f"A01N{number:02d}-{view}" for number in (1, 2, 3, 4) for view in "LMR"],
}
SKELETONS = {"pkummd1": "PKU_Skeleton_Renew", "pkummd2": "Data/skeleton_v2"}
LABELS = {"pkummd1": "Train_Label_PKU_final", "pkummd2": "Label/Label_PKUMMD_v2"}
LISTS = {
    "pkummd1": {"cross_subject": "cross-subject.txt", "cross_view": "cross-view.txt"},
    "pkummd2": {"cross_subject": "cross_subject_v2.txt", "cross_view": "cross_view_v2.txt"},
}
SPLITS = {
    "cross_subject": lambda name: name[-3] in "25" or name[-3] == "1",  # two or three of the four
    "cross_view": lambda name: name[-1] in "MR",
}
CLASSES = (1, 7, 51)


def video(name: str, seed: int = 0, gap: int = 15) -> tuple[np.ndarray, list[tuple]]:
    """Bodies (T, 2, 25, 3), and actions (class, first, last frame, confidence), each class once."""
    rng = np.random.default_rng([seed, *name.encode()])
    rest = rng.normal((0, 0, 3), 0.4, (2, 25, 3))
    frames, actions = [np.repeat(rest[None], gap, 0)], []
    for action in rng.permutation(CLASSES).tolist():
        own = np.random.default_rng(action)
        length = int(rng.integers(30, 60))
        t = np.arange(length)[:, None, None, None]
        swing = own.normal(0, 0.3, (2, 25, 3)) * np.sin(own.uniform(0.2, 0.6) * t)
        clip = rest + swing + own.normal(0, 0.3, (2, 25, 3))
        clip[:, 1] *= action % 2
        first = sum(map(len, frames))
        actions.append((action, first, first + length - 1, 2))
        frames += [clip, np.repeat(rest[None], gap, 0)]
    return np.concatenate(frames), actions


def write_video(folder: Path, name: str, bodies: np.ndarray, actions: list[tuple]) -> None:
    """Write a video and its labels. The name decides the phase, and so the folders."""
    dataset = "pkummd2" if name.startswith("A") else "pkummd1"
    skeletons, labels = folder / SKELETONS[dataset], folder / LABELS[dataset]
    for place in (skeletons, labels):
        place.mkdir(parents=True, exist_ok=True)
    np.savetxt(skeletons / f"{name}.txt", bodies.reshape(len(bodies), -1), "%.6f")
    lines = "".join(",".join(map(str, action)) + "\n" for action in actions)
    (labels / f"{name}.txt").write_text(lines)


def write_dataset(folder: Path, dataset: str) -> Path:
    """Write twelve videos, four people (or recordings) in three views, and the lists."""
    for name in NAMES[dataset]:
        write_video(folder, name, *video(name))
    (folder / "Split").mkdir(parents=True, exist_ok=True)
    for protocol, trains in SPLITS.items():
        parts = [[n for n in NAMES[dataset] if trains(n) == part] for part in (True, False)]
        text = "Training videos: \n{}\n\nValidataion videos: \n{}\n".format(*map(", ".join, parts))
        (folder / "Split" / LISTS[dataset][protocol]).write_text(text)
    return folder
