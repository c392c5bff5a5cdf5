"""Reader of the packed store: all clips of a data set, one after another, in two files."""

import csv
import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_gen.datasets.ntu import ALL_DATASETS, PKU, PROTOCOLS, train_mask

COLUMNS = ("setup", "camera", "subject", "replication", "action", "start", "frames")
FRAME_SHAPE = (2, 25, 3)  # (M, V, C) = bodies, joints, xyz
_HEADER = re.compile(
    r"\{'descr': '<f4', 'fortran_order': False, 'shape': \((\d{1,15}), 2, 25, 3\), \} *\n",
    re.ASCII,
)


class StoreError(ValueError):
    """A store that is missing, damaged or asked for what it does not hold; one line says which."""


@dataclass(frozen=True)
class Store:
    """A data set as `data_gen` wrote it.

    joints: (F, M, V, C) float32 in metres, mapped from disk; the clips' frames without padding.
    names: N strings, sorted. The other columns: (N,) int64, `start` and `frames` in frames,
    `action` from 1 as in the file names. fingerprint: SHA-256 of samples.csv. listed: for each
    protocol that is a column of samples.csv instead of a rule, which clips train, (N,) bool.
    """

    dataset: str
    folder: Path
    joints: np.ndarray
    names: list[str]
    setup: np.ndarray
    camera: np.ndarray
    subject: np.ndarray
    replication: np.ndarray
    action: np.ndarray
    start: np.ndarray
    frames: np.ndarray
    fingerprint: str
    listed: dict[str, np.ndarray]

    @property
    def label(self) -> np.ndarray:
        """Classes (N,), from 0."""
        return self.action - 1

    @property
    def num_classes(self) -> int:
        """The data set's number of classes, or more where the store holds more."""
        return max(ALL_DATASETS[self.dataset].num_classes, int(self.action.max()))

    def split(self, protocol: str) -> tuple[np.ndarray, np.ndarray]:
        """Row numbers of the training and of the test clips under a protocol.

        Raises StoreError where the data set has no such protocol or one half is empty.
        """
        columns = {"setup": self.setup, "camera": self.camera, "subject": self.subject}
        try:
            train = self.listed.get(protocol)
            train = train_mask(protocol, self.dataset, **columns) if train is None else train
        except ValueError as error:
            raise StoreError(str(error)) from None
        if train.all() or not train.any():
            half = "test" if train.all() else "training"
            raise StoreError(f"{self.folder}: no {half} clip under protocol {protocol}")
        return np.flatnonzero(train), np.flatnonzero(~train)


def open_store(data_root: str | Path, dataset: str) -> Store:
    """Open DATA_ROOT/DATASET. Nothing is read into memory but samples.csv.

    Raises StoreError, naming the file and what is wrong with it, where a file is missing or the
    two files disagree.
    """
    if dataset not in ALL_DATASETS:
        raise StoreError(f"data set {dataset!r} is unknown; there are {', '.join(ALL_DATASETS)}")
    folder = Path(data_root) / dataset
    for name in ("joints.npy", "samples.csv"):
        if not (folder / name).is_file():
            raise StoreError(
                f"{folder / name} is missing; prepare the data with "
                f"`python data_gen/{'pku' if dataset in PKU else 'ntu'}_gendata.py "
                f"--dataset {dataset}`, or name another --data-root"
            )
    joints = _map_joints(folder / "joints.npy")
    text = (folder / "samples.csv").read_bytes()
    names, columns, listed = _read_samples(folder / "samples.csv", text)
    end = columns["start"] + columns["frames"]
    if (columns["start"][1:] != end[:-1]).any() or columns["start"][0] != 0:
        row = 0 if columns["start"][0] else int(np.argmax(columns["start"][1:] != end[:-1])) + 1
        raise _damaged(
            folder / "samples.csv", f"{names[row]} does not start where the clip before it ends"
        )
    if end[-1] != len(joints):
        raise _damaged(
            folder, f"samples.csv counts {end[-1]} frames, joints.npy holds {len(joints)}"
        )
    fingerprint = hashlib.sha256(text).hexdigest()
    return Store(dataset, folder, joints, names, **columns, fingerprint=fingerprint, listed=listed)


def _damaged(path: Path, why: str) -> StoreError:
    return StoreError(f"{path}: {why}; write the store anew with data_gen/ntu_gendata.py")


def _map_joints(path: Path) -> np.ndarray:
    # Of all that a .npy file can say only what numpy.save says of a store's array is taken. It is
    # held against the file's size before anything is mapped, so that a damaged header can neither
    # ask for an absurd mapping nor fail later, in the middle of a run.
    with path.open("rb") as file:
        start = file.read(10)  # magic, version, length of the header
        header = file.read(int.from_bytes(start[8:], "little")).decode("latin-1")
    if start[:8] != b"\x93NUMPY\x01\x00" or not header.endswith("\n"):
        raise _damaged(path, "not a whole .npy file")
    said = _HEADER.fullmatch(header)
    if not said:
        raise _damaged(path, f"expected float32 (F, 2, 25, 3), the header says {header[:80]!r}")
    offset, frames = len(start) + len(header), int(said[1])
    size, announced = path.stat().st_size, offset + frames * 4 * math.prod(FRAME_SHAPE)
    if frames < 1 or size != announced:
        raise _damaged(path, f"the header announces {announced} bytes, the file has {size}")
    # Copy-on-write, since torch takes no array that it could not write to; nobody writes.
    return np.memmap(path, np.float32, "c", offset, (frames, *FRAME_SHAPE))


def _read_samples(path: Path, text: bytes) -> tuple[list[str], dict, dict]:
    # Names, columns by name, and which clips train by protocol.
    try:
        reader = csv.reader(text.decode().splitlines(), strict=True)
        header = next(reader, [])
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise _damaged(path, f"not a CSV file ({error})") from None
    missing = [column for column in ("name", *COLUMNS) if column not in header]
    if missing:
        raise _damaged(path, f"line 1: no column {missing[0]!r}")
    if not rows:
        raise _damaged(path, "holds no clip")
    for line, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise _damaged(path, f"line {line}: {len(row)} values, the header has {len(header)}")
    by_column = dict(zip(header, zip(*rows, strict=True), strict=True))
    columns = {column: _integers(path, column, by_column[column]) for column in COLUMNS}
    listed = {p: _integers(path, p, by_column[p]) == 1 for p in PROTOCOLS if p in by_column}
    return list(by_column["name"]), columns, listed


def _integers(path: Path, column: str, values: tuple[str, ...]) -> np.ndarray:
    least = 0 if column in ("start", *PROTOCOLS) else 1
    most = 1 if column in PROTOCOLS else 10**15
    for line, value in enumerate(values, start=2):
        # Digits alone: no sign, no underscore, no number too long for an int64.
        digits = value.isascii() and value.isdigit() and len(value) <= 15
        if not (digits and least <= int(value) <= most):
            raise _damaged(path, f"line {line}: {column} is {value[:20]!r}")
    return np.array(values, dtype=np.int64)
