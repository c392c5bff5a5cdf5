"""Folders of padded arrays, in and out. PART is `train` or `val`.

UmURL and USDRL, with prepared coordinates:
    PART_data_joint.npy   (N, C, T, V, M) = clips, xyz, frames, 25 joints, 2 bodies
    PART_num_frame.npy    (N,), frames of each clip
    PART_label.pkl        names of the clips, and their classes from 0
ST-GCN and CrosSCLR, with coordinates of a camera, in metres:
    PART_data.npy         (N, C, T, V, M), zero after the last frame of a clip
    PART_label.pkl        as above
"""

import pickle
from pathlib import Path

import numpy as np

from common import UserError
from data_gen.readers.skeleton_file import SUFFIX
from feeder.store import Store
from tools.formats import source
from tools.formats.pickles import read_pickle

PARTS = ("train", "val")


def open_arrays(folder: Path, form: str) -> source.Source:
    """Open the clips of a folder. form: `_data_joint.npy` or `_data.npy`"""
    data = [source.map_floats(folder / f"{part}{form}") for part in PARTS]
    count, prepared = sum(map(len, data)), form == "_data_joint.npy"
    files = source.OWN if (folder / source.OWN["store"]).exists() else {}
    own = source.read_own({key: (folder / name).read_text("utf-8") for key, name in files.items()})
    _, _, _, joints, bodies = data[0].shape

    def padded(row: int) -> np.ndarray:
        return source.row_of(data, row).transpose(1, 3, 2, 0)  # (C, T, V, M) -> (T, M, V, C)

    # This check comes first: arrays that are turned have other labels and counts, or no counts.
    if prepared and own is None:
        source.refuse_turned(folder, count, padded)
    names, labels = [], []
    for part in PARTS:
        part_names, part_labels = read_pickle(folder / f"{part}_label.pkl")
        names += [name.removesuffix(SUFFIX) for name in part_names]
        labels += map(int, part_labels)
    if not count == len(names) == len(labels):
        raise UserError(f"{folder}: {count} clips, {len(names)} names, {len(labels)} labels")
    if prepared:
        counts = [np.load(folder / f"{part}_num_frame.npy", allow_pickle=False) for part in PARTS]
        frames = np.concatenate(counts)
        if len(frames) != count or frames.dtype.kind not in "iu" or (frames < 1).any():
            raise UserError(f"{folder}: num_frame.npy does not count the frames of {count} clips")

    def read(row: int) -> np.ndarray:
        return padded(row)[: frames[row]] if prepared else source.without_padding(padded(row))

    kind = "UmURL's or USDRL's arrays" if prepared else "ST-GCN's or CrosSCLR's arrays"
    splits = {"split": np.repeat([1, 0], [len(part) for part in data])}
    labels, shape = np.array(labels, np.int64), (bodies, joints)
    return source.Source(folder, kind, labels, read, shape, splits, own, names, prepared=prepared)


def write_arrays(store: Store, protocol: str, folder: Path) -> None:
    """Write UmURL's arrays of one protocol into a new folder."""
    split = source.split_of(store, protocol)
    folder.mkdir()
    for part, rows in zip(PARTS, split, strict=True):
        with (folder / f"{part}_data_joint.npy").open("wb") as file:
            source.write_padded(file, store, rows, lambda clip: clip.transpose(3, 0, 2, 1))
        np.save(folder / f"{part}_num_frame.npy", store.length[rows])
        labels = [store.names[row] for row in rows], store.label[rows].tolist()
        (folder / f"{part}_label.pkl").write_bytes(pickle.dumps(labels))
    for name, text in source.own_texts(store, np.concatenate(split)).items():
        (folder / source.OWN[name]).write_text(text, encoding="utf-8")
