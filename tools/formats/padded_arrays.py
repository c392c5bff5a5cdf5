"""Padded arrays of one protocol, as UmURL, USDRL, ST-GCN and CrosSCLR keep them: read and written.

PART is `train` or `val`. UmURL and USDRL, with prepared coordinates:
    PART_data_joint.npy   (N, C, T, V, M) = clips, xyz, frames, 25 joints, 2 bodies
    PART_num_frame.npy    (N,), frames of each clip
    PART_label.pkl        names of the clips, and their classes from 0
ST-GCN and CrosSCLR, with coordinates of a camera:
    PART_data.npy         (N, C, T, V, M), zero after the last frame of a clip
    PART_label.pkl        as above
A folder that this code wrote also holds store.json and samples.csv, see `foreign_clips.own_texts`.
"""

import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from data_gen.preparing.files import require_space
from data_gen.readers.skeleton_file import SUFFIX
from feeder.skeletons import NTU
from feeder.store import Store
from tools.cli import UserError
from tools.formats.array_files import Rows, open_npy, require_file
from tools.formats.foreign_clips import Own, Source, own_frames, own_texts, read_own, refuse_turned
from tools.formats.padding import padded_size, require_ntu_bodies, write_padded
from tools.formats.pickles import plain, read_pickle

PARTS, OWN = ("train", "val"), ("store.json", "samples.csv")
BODIES, JOINTS, CHANNELS = NTU.frame_shape


def read_prepared(folder: Path) -> Source:
    """Open the arrays of UmURL or USDRL. Raises UserError where they do not fit together."""
    data = [_open_data(folder / f"{part}_data_joint.npy") for part in PARTS]
    own = _own(folder)
    # This check comes first: arrays that are turned have other labels and counts, or no counts.
    if own is None:
        refuse_turned(folder, sum(map(len, data)), partial(_clip, data))
    counts = [_open_counts(folder, part) for part in PARTS]
    labels = [read_labels(folder / f"{part}_label.pkl") for part in PARTS]
    for part, x, frames, (names, _) in zip(PARTS, data, counts, labels, strict=True):
        if not frames.shape == (len(x),) == (len(names),):
            raise UserError(
                f"{folder}: {part} has {len(x)} clips, {frames.size} frame counts, "
                f"{len(names)} names"
            )
        if frames.dtype.kind not in "iu" or not ((frames >= 1) & (frames <= x.shape[2])).all():
            raise UserError(f"{folder / part}_num_frame.npy: not all from 1 to {x.shape[2]}")
    frames = np.concatenate(counts)

    def read(row: int) -> np.ndarray:
        return _clip(data, row)[: frames[row]]

    return _source(folder, "UmURL's or USDRL's arrays", labels, read)._replace(own=own)


def read_raw(folder: Path) -> Source:
    """Open the arrays of ST-GCN or CrosSCLR. Raises UserError where they do not fit together."""
    data = [_open_data(folder / f"{part}_data.npy") for part in PARTS]
    labels = [read_labels(folder / f"{part}_label.pkl") for part in PARTS]
    for part, x, (names, _) in zip(PARTS, data, labels, strict=True):
        if len(x) != len(names):
            raise UserError(f"{folder}: {part} has {len(x)} clips, {len(names)} names")

    def read(row: int) -> np.ndarray:
        return own_frames(_clip(data, row))

    source = _source(folder, "ST-GCN's or CrosSCLR's arrays", labels, read)
    return source._replace(prepared=False)


def _source(
    folder: Path,
    kind: str,
    labels: list[tuple[list[str], list[int]]],
    read: Callable[[int], np.ndarray],
) -> Source:
    names = [name.removesuffix(SUFFIX) for part, _ in labels for name in part]
    classes = np.array([label for _, part in labels for label in part], np.int64)
    return Source(folder, kind, classes, read, names, None, {}, prepared=True)


def _clip(data: list[Rows], row: int) -> np.ndarray:
    """A clip (T, M, V, C) of the arrays of both parts, with its padding."""
    part, row = (0, row) if row < len(data[0]) else (1, row - len(data[0]))
    (clip,) = data[part][row : row + 1]  # (C, T, V, M)
    return clip.transpose(1, 3, 2, 0)


def _open_data(path: Path) -> Rows:
    data = open_npy(path)
    shape = data.shape
    fits = len(shape) == 5 and (shape[1], *shape[3:]) == (CHANNELS, JOINTS, BODIES)
    if not fits or data.dtype.kind != "f":
        raise UserError(f"{path} is {data.dtype} {shape}, not floats (N, 3, T, 25, 2)")
    return data


def _open_counts(folder: Path, part: str) -> np.ndarray:
    counts = open_npy(folder / f"{part}_num_frame.npy")
    return counts[: len(counts)]


def _own(folder: Path) -> Own | None:
    paths = [folder / name for name in OWN]
    if not all(path.exists() for path in paths):
        return None
    for path in paths:
        require_file(path)
    return read_own(*(path.read_text(encoding="utf-8", errors="replace") for path in paths), folder)


def read_labels(path: Path) -> tuple[list[str], list[int]]:
    """Read the names and classes of a label file. It is a pickle; nothing in it is run.

    Raises UserError where the file is missing or holds anything else.
    """
    content = read_pickle(path, "names and labels")
    pair = content if isinstance(content, (list, tuple)) and len(content) == 2 else ([], None)
    names, labels = map(plain, pair)
    labels = labels.tolist() if isinstance(labels, np.ndarray) else labels
    lists = all(isinstance(values, (list, tuple)) for values in (names, labels))
    if not (
        lists
        and len(names) == len(labels)
        and all(isinstance(name, str) for name in names)
        and all(type(label) is int and 0 <= label < 10**5 for label in labels)
    ):
        raise UserError(f"{path} does not hold a list of names and one of as many labels")
    return list(names), list(labels)


def export_arrays(store: Store, protocol: str, folder: Path) -> None:
    """Write a store as the padded arrays of one protocol; frames after a clip's last are zero.

    Raises StoreError where the store has no such protocol, UserError where its frames are not two
    bodies of 25 joints, and OSError where the disk is too small. Nothing is written before.
    """
    require_ntu_bodies(store)
    parts = list(zip(PARTS, store.split(protocol), strict=True))
    require_space(folder, padded_size(store))
    for part, rows in parts:
        with (folder / f"{part}_data_joint.npy").open("wb") as file:
            write_padded(file, store, rows, _to_ctvm, title=part)
        np.save(folder / f"{part}_num_frame.npy", store.length[rows])
        with (folder / f"{part}_label.pkl").open("wb") as file:
            pickle.dump(([store.names[row] for row in rows], store.label[rows].tolist()), file)
    texts = own_texts(store, np.concatenate([rows for _, rows in parts]))
    for name, text in zip(OWN, texts, strict=True):
        (folder / name).write_text(text, encoding="utf-8")


def _to_ctvm(clip: np.ndarray) -> np.ndarray:
    return clip.transpose(3, 0, 2, 1)  # (T, M, V, C) -> (C, T, V, M)
