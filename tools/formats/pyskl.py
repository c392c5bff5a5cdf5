"""The .pkl files of pyskl and mmaction2 (ntu60_3danno.pkl, ntu120_3danno.pkl), both ways.

A file is a dict:
    split         {'xsub_train': names, 'xsub_val': names, ...}
    annotations   a list of {'frame_dir': name, 'label': from 0, 'keypoint': (M, T, 25, 3) in
                  metres, 'total_frames': T}, with M = 1 or 2 bodies
A file that this code wrote has two more entries, `store` and `samples`, see
`foreign_clips.own_texts`.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from data_gen.preparing.files import require_space
from data_gen.readers.skeleton_file import SUFFIX
from feeder.skeletons import NTU
from feeder.store import Store
from tools.cli import UserError
from tools.formats.foreign_clips import Source, own_texts, read_own
from tools.formats.padding import require_ntu_bodies
from tools.formats.pickles import plain, read_pickle

SPLITS = {"xsub": "cross_subject", "xview": "cross_view", "xset": "cross_setup"}
_SHORT = {protocol: short for short, protocol in SPLITS.items()}
BODIES, JOINTS, CHANNELS = NTU.frame_shape


def read_pkl(path: Path) -> Source:
    """Open a file of clips. Raises UserError where it is no such file."""
    content = read_pickle(path, "skeletons of pyskl")
    keys = ("split", "annotations")
    if not (isinstance(content, dict) and all(key in content for key in keys)):
        raise UserError(f"{path} holds no dict of 'split' and 'annotations', as pyskl's files do")
    split, annotations = (content[key] for key in keys)
    if not isinstance(annotations, list) or not annotations:
        raise UserError(f"{path}: 'annotations' is no list of clips")
    for i, clip in enumerate(annotations):
        if fault := _fault(clip):
            raise UserError(f"{path}: annotations[{i}]: {fault}")
    names = [clip["frame_dir"].removesuffix(SUFFIX) for clip in annotations]

    def read(row: int) -> np.ndarray:
        bodies = plain(annotations[row]["keypoint"])  # (M, T, V, C)
        clip = np.zeros((bodies.shape[1], *NTU.frame_shape), bodies.dtype)
        clip[:, : len(bodies)] = bodies.transpose(1, 0, 2, 3)
        return clip

    texts = [content[key] for key in ("store", "samples") if isinstance(content.get(key), str)]
    own = read_own(*texts, path) if len(texts) == 2 else None
    labels = np.array([clip["label"] for clip in annotations], np.int64)
    return Source(
        *(path, "pyskl's or mmaction2's skeletons", labels, read, names, None),
        _training(path, split, names),
        prepared=own is not None,
        own=own,
    )


def _fault(clip: Any) -> str | None:
    """What is wrong with a clip of the file; None where nothing is."""
    for key in ("frame_dir", "label", "keypoint", "total_frames"):
        if not isinstance(clip, dict) or key not in clip:
            return f"it lacks {key!r}"
    bodies, frames = plain(clip["keypoint"]), clip["total_frames"]
    if not isinstance(clip["frame_dir"], str):
        return "'frame_dir' is no name"
    if type(clip["label"]) is not int or not 0 <= clip["label"] < 10**5:
        return "'label' is no class from 0"
    if not isinstance(bodies, np.ndarray) or bodies.dtype.kind != "f":
        return "'keypoint' is no array of floats"
    if bodies.ndim != 4 or bodies.shape[2:] != (JOINTS, CHANNELS) or len(bodies) > BODIES:
        return f"'keypoint' is {bodies.shape}, not (1 or 2, T, {JOINTS}, {CHANNELS})"
    if type(frames) is not int or frames != bodies.shape[1]:
        return f"'total_frames' is {str(frames)[:20]}, 'keypoint' has {bodies.shape[1]}"
    return None


def _training(path: Path, split: Any, names: list[str]) -> dict[str, np.ndarray]:
    """For each protocol whose halves hold all clips: which clips train, (N,) bool."""
    if not isinstance(split, dict) or not all(
        isinstance(listed, list) and all(isinstance(name, str) for name in listed)
        for listed in split.values()
    ):
        raise UserError(f"{path}: 'split' is no dict of lists of names")
    training = {}
    for short, protocol in SPLITS.items():
        if f"{short}_train" in split:
            halves = [
                {name.removesuffix(SUFFIX) for name in split.get(f"{short}_{half}", ())}
                for half in ("train", "val")
            ]
            if both := halves[0] & halves[1]:
                raise UserError(f"{path}: {min(both)} is in both halves of {short}")
            if set(names) <= halves[0] | halves[1]:
                training[protocol] = np.array([name in halves[0] for name in names])
    return training


def write_pkl(store: Store, path: Path) -> None:
    """Write a store as a .pkl file; coordinates stay as they are in the store.

    path: must not exist yet.

    The coordinates stay float32, so nothing is lost; pyskl reads float32 as well as its own
    float16.
    Raises UserError where the frames are not two bodies of 25 joints, and OSError where the disk is
    too small. Nothing is written before.
    """
    require_ntu_bodies(store)
    require_space(path, store.joints.nbytes)
    names, split = store.names, {}
    for protocol in store.protocols:
        short = _SHORT.get(protocol, protocol)
        for half, rows in zip(("train", "val"), store.split(protocol), strict=True):
            split[f"{short}_{half}"] = [names[row] for row in rows]
    annotations = [
        {
            "frame_dir": name,
            "label": int(store.label[row]),
            "keypoint": _bodies(store.clip(row)),
            "total_frames": int(store.length[row]),
        }
        for row, name in enumerate(names)
    ]
    own = dict(zip(("store", "samples"), own_texts(store, range(len(names))), strict=True))
    content = {"split": split, "annotations": annotations} | own
    with path.open("wb") as file:
        pickler = pickle.Pickler(file, protocol=4)
        pickler.fast = True  # pickle no references, which would keep all clips in memory
        pickler.dump(content)


def _bodies(clip: np.ndarray) -> np.ndarray:
    """The bodies (M, T, V, C) of a clip (T, 2, V, C).

    A second body that is all zero is left out.
    """
    bodies = np.asarray(clip).transpose(1, 0, 2, 3)
    return bodies if bodies[1].tobytes().strip(b"\0") else bodies[:1]
