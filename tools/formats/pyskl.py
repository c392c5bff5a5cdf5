"""The .pkl files of pyskl and mmaction2, in and out. A file is a dict:

split         {'xsub_train': names, 'xsub_val': names, ...}; also train, val, train1, test1 ...
annotations   a list of {'frame_dir': name, 'label': from 0, 'keypoint': (M, T, V, C),
              'total_frames': T}; C = 3: metres; C = 2: pixels, with 'keypoint_score' (M, T, V)
"""

import pickle
import re
from pathlib import Path

import numpy as np

from common import UserError
from data_gen.readers.skeleton_file import SUFFIX
from feeder.store import Store
from tools.formats import source
from tools.formats.pickles import read_pickle

SHORT = {"cross_subject": "xsub", "cross_view": "xview", "cross_setup": "xset"}
_LONG = {short: protocol for protocol, short in SHORT.items()}


def open_pkl(path: Path) -> source.Source:
    """Open the clips of a file."""
    content = read_pickle(path)
    annotations = content["annotations"]
    names = [str(clip.get("frame_dir", i)) for i, clip in enumerate(annotations)]
    names = [name.removesuffix(SUFFIX) for name in names]
    joints, channels = annotations[0]["keypoint"].shape[2:]
    has_scores = channels == 2 and "keypoint_score" in annotations[0]

    def read(row: int) -> np.ndarray:
        clip = annotations[row]
        bodies = clip["keypoint"]  # (M, T, V, C)
        if has_scores:
            bodies = np.concatenate([bodies, clip["keypoint_score"][..., None]], axis=-1)
        if bodies.shape[1:3] != (clip["total_frames"], joints):
            raise ValueError(f"its keypoint is {bodies.shape}")
        if len(bodies) == 1:
            bodies = np.concatenate([bodies, np.zeros_like(bodies)])
        return bodies.transpose(1, 0, 2, 3)

    kind, splits = "pyskl's or mmaction2's skeletons", _splits(path, content["split"], names)
    labels = np.array([int(clip.get("label", -1)) for clip in annotations], np.int64)
    shown = None if channels == 3 else "xyc" if has_scores else "xy"
    own = source.read_own(content)
    return source.Source(path, kind, labels, read, (2, joints), splits, own, names, shown)


def _splits(path: Path, split: dict[str, list[str]], names: list[str]) -> dict[str, np.ndarray]:
    # `val` are test clips, or training clips if there is `test`, too.
    protocols: dict[str, dict[str, set[str]]] = {}
    for key, listed in split.items():
        if match := re.fullmatch(r"(?:(\w+)_)?(train|val|test)(\d*)", key):
            protocol = _LONG.get(match[1], f"{match[1] or 'split'}{match[3]}")
            part = {name.removesuffix(SUFFIX) for name in listed}
            protocols.setdefault(protocol, {})[match[2]] = part
    splits = {}
    for protocol, parts in protocols.items():
        train, val, test = (parts.get(name, set()) for name in ("train", "val", "test"))
        train, test = (train | val, test) if test else (train, val)
        if train & test:
            raise UserError(f"{path}: {min(train & test)} is a training and a test clip")
        splits[protocol] = np.array([1 if n in train else 0 if n in test else -1 for n in names])
    return splits


def write_pkl(store: Store, path: Path) -> None:
    """Write a file of all protocols that have training clips, in float32; pyskl reads it, too."""
    split = {
        f"{SHORT.get(protocol, protocol)}_{part}": [store.names[row] for row in rows]
        for protocol in store.protocols
        if store.is_training(protocol).any()
        for part, rows in zip(("train", "val"), source.split_of(store, protocol), strict=True)
    }
    annotations = []
    for row, name in enumerate(store.names):
        bodies = np.asarray(store.clip(row)).transpose(1, 0, 2, 3)  # (M, T, V, C)
        if not bodies[1].tobytes().strip(b"\0"):  # not -0.0: an import restores every bit
            bodies = bodies[:1]
        clip = {"frame_dir": name, "label": int(store.label[row]), "keypoint": bodies}
        annotations.append(clip | {"total_frames": bodies.shape[1]})
    content = {"split": split, "annotations": annotations}
    with path.open("wb") as file:
        pickler = pickle.Pickler(file, protocol=4)
        pickler.fast = True  # pickle no references, which would keep all clips in memory
        pickler.dump(content | source.own_texts(store, range(len(annotations))))
