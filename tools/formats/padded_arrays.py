"""The padded arrays that other repositories keep a protocol in, to a packed store and back.

UmURL and USDRL: PART_data_joint.npy (N, C, T, V, M) = clips, xyz, frames, 25 joints, 2 bodies,
normalized as the method has them; PART_num_frame.npy (N,); PART_label.pkl, the clips' names and
their classes from 0. PART is train or val. ST-GCN and CrosSCLR: PART_data.npy, of the same shape,
in a camera's coordinates, zero past a clip's end, and PART_label.pkl. A folder that this code wrote
holds store.json and samples.csv, too, the texts that `source.own_texts` gives.
"""

import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data_gen.datasets.skeletons import NTU
from data_gen.preparing.files import require_space
from data_gen.readers.skeleton_file import SUFFIX
from feeder.store import Store
from tools.cli import UserError
from tools.formats.array_files import Rows, open_npy, require_file, write_header
from tools.formats.foreign_clips import Own, Source, own_frames, own_texts, read_own, refuse_turned
from tools.formats.pickles import plain, read_pickle

PARTS, OWN = ("train", "val"), ("store.json", "samples.csv")
PADDED_FRAMES = 300  # or more, where a clip is longer
BODIES, JOINTS, CHANNELS = NTU.frame_shape


def read_prepared(folder: Path) -> Source:
    """UmURL's or USDRL's arrays. Raises UserError, one line, where they do not fit together."""
    data = [_open_data(folder / f"{part}_data_joint.npy") for part in PARTS]
    own = _own(folder)
    if (
        own is None
    ):  # first, since turned arrays have labels and counts of other kinds, or no counts
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
    """ST-GCN's or CrosSCLR's arrays. Raises UserError, one line, where they do not fit together."""
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
    """A clip (T, M, V, C) of both parts' arrays, padding and all."""
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
    """Names and classes in a label file, a pickle that is read without running anything.

    Raises UserError, one line, where it is missing or holds anything else.
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
    """Write a store as the padded arrays of one protocol; past a clip's own frames are zeros.

    Raises StoreError where the store has no such protocol, UserError where its frames are not two
    bodies of 25 joints, and OSError where the disk is too small, before anything is written.
    """
    if store.layout.frame_shape != NTU.frame_shape:
        raise UserError(f"{store.folder} holds {store.layout}; the format has two bodies of 25")
    longest = max(PADDED_FRAMES, int(store.frames.max()))
    padded = np.zeros((CHANNELS, longest, JOINTS, BODIES), np.float32)
    parts = list(zip(PARTS, store.split(protocol), strict=True))
    require_space(folder, padded.nbytes * len(store.names))
    for part, rows in parts:
        # A stream, since a mapped file ends the process where the disk is full.
        with (folder / f"{part}_data_joint.npy").open("wb") as file:
            write_header(file, (len(rows), *padded.shape))
            for row in tqdm(rows, desc=part, unit="clip", disable=None):
                start, frames = store.start[row], store.frames[row]
                padded[:, :frames] = store.joints[start : start + frames].transpose(3, 0, 2, 1)
                padded[:, frames:] = 0
                file.write(padded.astype("<f4", copy=False).data)
        np.save(folder / f"{part}_num_frame.npy", store.frames[rows])
        with (folder / f"{part}_label.pkl").open("wb") as file:
            pickle.dump(([store.names[row] for row in rows], store.label[rows].tolist()), file)
    texts = own_texts(store, np.concatenate([rows for _, rows in parts]))
    for name, text in zip(OWN, texts, strict=True):
        (folder / name).write_text(text, encoding="utf-8")
