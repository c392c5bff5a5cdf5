"""The .npz files of CTR-GCN, InfoGCN, HD-GCN, MAMP, STARS and MacDiff, in and out.

A file has the clips of one protocol, in a camera's coordinates, without names:
x_train, x_test   (N, T, 150) = clips, frames, (body, joint, xyz), zero after a clip's last frame
y_train, y_test   (N, K), one-hot
"""

import re
import struct
import zipfile
from pathlib import Path

import numpy as np

from common import UserError
from data_gen.clip import AWAY
from data_gen.readers.skeleton_file import SUFFIX, official_missing
from feeder.datasets import LAST_SETUP, NTU_DATASETS
from feeder.skeletons import NTU
from feeder.store import Store
from tools.formats import source

PARTS = ("train", "test")
# Protocol -> words for it in the names of files.
_WORDS = {
    "cross_subject": ("cs", "csub", "xsub", "subject"),
    "cross_view": ("cv", "cview", "xv", "xview", "view"),
    "cross_setup": ("cset", "csetup", "xset", "xsetup", "setup"),
}


def open_npz(path: Path, protocol: str | None) -> source.Source:
    """Open the clips of a file. protocol: of its split; None: as `_protocol_of` finds"""
    with np.load(path, allow_pickle=False) as arrays:
        if damaged := arrays.zip.testzip():
            raise UserError(f"{path}: the checksum of {damaged} is wrong; copy the file again")
        y = np.concatenate([arrays[f"y_{part}"] for part in PARTS])
        texts = {name: bytes(arrays[name]).decode() for name in source.OWN if name in arrays}
        frames = arrays.get("num_frame") if texts else None  # of an export
        x = [_open_member(path, arrays, f"x_{part}") for part in PARTS]
    counts, own = (len(x[0]), len(x[1])), source.read_own(texts)
    if len(y) != sum(counts) or not ((y == 1).sum(1) == 1).all() or (y != 0).sum() != sum(counts):
        raise UserError(f"{path}: y_train and y_test are not one-hot, with a row for each clip")

    def read(row: int) -> np.ndarray:
        clip = source.row_of(x, row).reshape(-1, *NTU.frame_shape)
        clip = source.without_padding(clip) if frames is None else clip[: frames[row]]
        # The first spine is at the origin, but the preparation takes joints whose coordinates sum
        # to zero for missing ones. Moved in float64, nothing is rounded.
        there = clip.any((2, 3), keepdims=True)  # (T, 2, 1, 1)
        return clip if own else clip + there * np.array([0.0, 0.0, AWAY])

    if not own:
        protocol = protocol or _protocol_of(path, counts)
    splits, classes = {protocol: np.repeat([1, 0], counts)}, y.shape[1]
    kind = f"CTR-GCN's or MAMP's arrays of {classes} classes"
    shape = NTU.frame_shape[:2]
    return source.Source(path, kind, y.argmax(1), read, shape, splits, own, num_classes=classes)


def _open_member(path: Path, arrays: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    # numpy reads a member as a whole, whatever `mmap_mode` says.
    entry = arrays.zip.getinfo(f"{name}.npy")
    if entry.compress_type != zipfile.ZIP_STORED:
        return arrays[name]
    with path.open("rb") as file:
        file.seek(entry.header_offset + 26)
        lengths = struct.unpack("<HH", file.read(4))  # of the name and of the extra field
    return source.map_floats(path, entry.header_offset + 30 + sum(lengths))


def _protocol_of(path: Path, counts: tuple[int, int]) -> str:
    # The numbers of training and test clips tell it, or the name of a file such as NTU60_CS.npz.
    for description in NTU_DATASETS.values():
        for protocol, official in description.official.items():
            if counts == official:
                return protocol
    words = re.split(r"[^a-z]+", f"{path.absolute().parent.name} {path.stem}".lower())
    found = [p for word in words for p, names in _WORDS.items() if word in names]
    if not found:
        raise UserError(f"{path}: its name does not tell its split; name it with --protocol")
    return found[-1]


def match_names(path: Path, clips: source.Source, dataset: str) -> list[str]:
    """The names of a file's clips, in its order, from a text file with one name a line.

    Training and test clips are ordered by what makes the split, and then as the list is, without
    missing clips and later setups. Raises UserError if names and labels do not agree.
    """
    ((protocol, training),) = clips.splits.items()
    description, last_setup = NTU_DATASETS[dataset], LAST_SETUP[dataset]
    lines = map(str.strip, path.read_text().splitlines())
    names = [line.removesuffix(SUFFIX) for line in lines if line]
    try:
        columns = source.columns_of(names)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    kept = ~np.isin(names, list(official_missing()))
    kept &= columns["setup"] <= last_setup
    kept &= columns["action"] <= len(description.classes)
    columns = {name: values[kept] for name, values in columns.items()}
    train = description.train_mask(protocol, columns)
    by_split = columns[description.splits[protocol].column]
    order = np.lexsort([by_split, ~train])  # stable; the last key is the first criterion
    labels = columns["action"][order] - 1
    if train.sum() != training.sum() or labels.tolist() != clips.labels.tolist():
        raise UserError(
            f"{path}: its {train.sum()} training and {(~train).sum()} test names do not fit the "
            f"{training.sum()} and {(1 - training).sum()} clips, or their labels, of {clips.path}"
        )
    return np.array(names)[kept][order].tolist()


def write_npz(store: Store, protocol: str, path: Path) -> None:
    """Write a file of one protocol; the coordinates are those of the store."""
    split = source.split_of(store, protocol)
    texts = source.own_texts(store, np.concatenate(split))
    arrays = {name: np.frombuffer(text.encode(), np.uint8) for name, text in texts.items()}
    arrays["num_frame"] = store.length[np.concatenate(split)]  # a clip may end with empty frames
    with zipfile.ZipFile(path, "w") as archive:
        for part, rows in zip(PARTS, split, strict=True):
            with archive.open(f"x_{part}.npy", "w", force_zip64=True) as file:
                source.write_padded(file, store, rows, lambda clip: clip.reshape(len(clip), -1))
            arrays[f"y_{part}"] = np.eye(store.num_classes)[store.label[rows]]
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.save(file, array)
