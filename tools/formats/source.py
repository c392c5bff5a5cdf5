"""What the formats of other codes share: `Source`, and the files that an export adds."""

import contextlib
import csv
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from common import UserError
from data_gen.readers.skeleton_file import parse_name
from feeder.description import FIELDS, Description
from feeder.skeletons import NTU
from feeder.store import Store

# What an export adds, so that an import restores the store, and its files in a folder: store.json,
# and the rows of samples.csv in the order of the exported clips.
OWN = {"store": "store.json", "samples": "samples.csv"}
LEAST_FRAMES = 300  # of a padded clip, as other codes have it; longer if a clip is longer
LOOKED_AT = 200  # clips whose first frame is examined
Row = tuple[str, tuple[int, ...]]  # of samples.csv: the name; FIELDS and further columns


@dataclass(frozen=True)
class Source:
    """The N clips of a file or of a folder of files, in the order of the file."""

    path: Path
    kind: str  # what the file is, in words
    labels: np.ndarray  # (N,) int64, classes from 0; -1 for a clip without a label
    read: Callable[[int], np.ndarray]  # number of a clip -> (T, M, V, C); T is 0 if nobody is seen
    shape: tuple[int, int]  # (M, V), bodies and joints
    splits: dict[str, np.ndarray]  # {protocol: (N,) int64: 1 training, 0 test, -1 neither}
    own: tuple[Description, list[Row]] | None  # the store that these clips are, if they are one
    names: list[str] | None = None  # N names, if the file has any
    channels: str | None = None  # xy or xyc, with a confidence, in pixels; None: x y z in metres
    num_classes: int | None = None  # of the data set, if the file tells
    prepared: bool = False  # whether coordinates have the method's normalization, or are a camera's
    absent: str = "any body"  # what a clip without frames lacks


def read_own(texts: Mapping[str, str]) -> tuple[Description, list[Row]] | None:
    """Parse the texts that `own_texts` made; None if there are none."""
    if "store" not in texts:
        return None
    _, *lines = csv.reader(texts["samples"].splitlines())
    rows = [(name, tuple(map(int, values))) for name, *values in lines]
    return Description.from_json(texts["store"]), rows


def rows_of(store: Store) -> list[Row]:
    """The rows of a store."""
    more = (store.more[name] for name in store.description.more_columns)
    columns = [*(getattr(store, name) for name in FIELDS), *more]
    return list(zip(store.names, map(tuple, np.stack(columns, axis=1).tolist()), strict=True))


def columns_of(names: list[str]) -> dict[str, np.ndarray]:
    """{column of FIELDS: (N,) int64} of N names of clips. UserError if NTU RGB+D has no such."""
    fields = np.array([parse_name(name) for name in names], int).reshape(-1, len(FIELDS))
    return dict(zip(FIELDS, fields.T, strict=True))


def map_floats(path: Path, start: int = 0) -> np.memmap:
    """Map the array of floats in a .npy file, or in an archive that holds one from byte `start`."""
    with path.open("rb") as file:
        file.seek(start)
        np.lib.format.read_magic(file)
        shape, by_column, dtype = np.lib.format.read_array_header_1_0(file)
        if by_column or dtype.kind != "f":
            what = "Python objects" if dtype.hasobject else f"{dtype} {shape}"
            raise UserError(f"{path} holds {what}; save its arrays as floats, row by row")
        return np.memmap(path, dtype, "r", file.tell(), shape)


def row_of(parts: list[np.ndarray], row: int) -> np.ndarray:
    """A row of two arrays, one after the other."""
    first = len(parts[0])
    array, row = (parts[0], row) if row < first else (parts[1], row - first)
    if not isinstance(array, np.memmap):
        return array[row]
    # Pages that are read through the mapping would count as memory of this process.
    size, start = array[0].size, array.offset + row * array[0].nbytes
    return np.fromfile(array.filename, array.dtype, size, offset=start).reshape(array.shape[1:])


def without_padding(clip: np.ndarray) -> np.ndarray:
    """A clip (T, M, V, C) without the zero frames at its end."""
    filled = np.flatnonzero(clip.any((1, 2, 3)))
    return clip[: filled[-1] + 1 if len(filled) else 0]


def refuse_turned(path: Path, count: int, read: Callable[[int], np.ndarray]) -> None:
    """Raise UserError if the main body's spine lies along z in NTU's clips, as other codes turn it:
    the method turns a clip by the shoulders only, and the angle of the spine is lost.
    """
    turned = []  # whether the main body's spine lies along z in a clip
    for row in np.unique(np.linspace(0, count - 1, min(count, LOOKED_AT)).astype(int)):
        with contextlib.suppress(Exception):  # a damaged clip, which the import names
            first = read(row)[0, 0].astype(float)
            spine = first[0] - first[1]  # from the middle to the base
            turned.append(spine[2] < -0.7 * np.linalg.norm(spine))
    if turned and np.mean(turned) > 0.75:
        raise UserError(
            f"{path}: AGCN, CMD or HiCo turned the spine onto z in {sum(turned)} of {len(turned)} "
            "clips, which cannot be undone; take UmURL's, CTR-GCN's or pyskl's files, or raw ones"
        )


def split_of(store: Store, protocol: str) -> tuple[np.ndarray, np.ndarray]:
    """The rows of training and test clips. Raises UserError unless a frame is as in NTU RGB+D."""
    if store.layout.frame_shape != NTU.frame_shape:
        raise UserError(f"{store.folder} holds {store.layout}; the format has two bodies of 25")
    return store.split(protocol)


def own_texts(store: Store, order: Iterable[int]) -> dict[str, str]:
    """The text of each file of OWN. order: the rows of the exported clips"""
    rows, file = rows_of(store), io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["name", *FIELDS, *store.description.more_columns])
    table.writerows([rows[i][0], *rows[i][1]] for i in order)
    description = replace(store.description, checked=False)  # that speaks of joints.npy
    return {"store": description.to_json(), "samples": file.getvalue()}


def write_padded(
    file: BinaryIO, store: Store, rows: np.ndarray, arrange: Callable[[np.ndarray], np.ndarray]
) -> None:
    """Write clips (T, M, V, C), padded with zeros to one length and arranged, as a float32 .npy."""
    padded = np.zeros((max(LEAST_FRAMES, store.length.max()), *store.layout.frame_shape), "<f4")
    shape = (len(rows), *arrange(padded).shape)
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for row in tqdm(rows, unit="clip", disable=None):
        clip = store.clip(row)
        padded[: len(clip)] = clip
        padded[len(clip) :] = 0
        file.write(np.ascontiguousarray(arrange(padded)).data)
