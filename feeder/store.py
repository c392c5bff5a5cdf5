"""Reader of the packed store: all clips of a data set, one after another, in three files."""

import csv
import hashlib
import mmap
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data_gen.datasets.description import FIELDS, Description, Split
from data_gen.datasets.known import KNOWN
from data_gen.datasets.skeletons import MAX_METRES, DescriptionError, Layout, Skeleton

COLUMNS = (*FIELDS, "start", "frames")
OLD_PROTOCOLS = ("cross_subject", "cross_view", "cross_setup")  # columns of older stores
MOST_BYTES = 16 * 2**20  # of a store.json
CHECKED_FRAMES = 2**14  # frames whose coordinates are checked at once
_HEADER = re.compile(
    r"\{'descr': '<f4', 'fortran_order': False, 'shape': "
    r"\((\d{1,15}), (\d{1,4}), (\d{1,4}), (\d{1,4})\), \} *\n",
    re.ASCII,
)


class StoreError(ValueError):
    """A store that is missing, damaged or asked for what it does not hold; one line says which."""


@dataclass(frozen=True)
class Store:
    """A data set as `data_gen` wrote it.

    dataset: the folder's name. description: what its store.json says. joints: (F, M, V, C) float32
    in metres, mapped from disk; the clips' frames without padding. names: N strings, sorted. The
    other columns: (N,) int64, `start` and `frames` in frames, `action` from 1. fingerprint: SHA-256
    of samples.csv. more: the description's further columns of samples.csv, (N,) int64 each.
    """

    dataset: str
    folder: Path
    description: Description
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
    more: dict[str, np.ndarray]

    @property
    def title(self) -> str:
        """What people call the data set."""
        return self.description.title

    @property
    def layout(self) -> Layout:
        """What a frame holds: so many bodies of one skeleton."""
        return self.description.layout

    @property
    def skeleton(self) -> Skeleton:
        """The joints of a body, and the bones between them."""
        return self.description.layout.skeleton

    @property
    def label(self) -> np.ndarray:
        """Classes (N,), from 0."""
        return self.action - 1

    @property
    def num_classes(self) -> int:
        """The data set's number of classes, or more where the store holds more."""
        return max(self.description.num_classes, int(self.action.max()))

    @property
    def class_names(self) -> list[str]:
        """Names of the num_classes classes, in the order of `label`."""
        named = self.description.classes
        return [*named, *(f"action {i + 1}" for i in range(len(named), self.num_classes))]

    @property
    def protocols(self) -> tuple[str, ...]:
        """The protocols that the data set has."""
        return tuple(self.description.splits)

    @property
    def nbytes(self) -> int:
        """Bytes of all frames."""
        return self.joints.nbytes

    def require_whole(self) -> None:
        """Raise StoreError where the frames' file was cut short since it was opened.

        To read what is gone would end the process without a word. Costs microseconds.
        """
        there = self.joints.base
        if isinstance(there, mmap.mmap) and there.size() < len(there):
            path = self.folder / "joints.npy"
            raise StoreError(f"{path} was cut short while it was read; write the store anew")

    def sizes(self, rows: np.ndarray) -> tuple[int, ...]:
        """How many of some clips (n,) belong to each data set: there is one, so all of them."""
        return (len(rows),)

    def official(self, protocol: str) -> tuple[int, int] | None:
        """Published numbers of (training, test) clips; None where there are none."""
        return self.description.official.get(protocol)

    def split(self, protocol: str) -> tuple[np.ndarray, np.ndarray]:
        """Row numbers of the training and of the test clips under a protocol.

        Raises StoreError where the data set has no such protocol or one half is empty.
        """
        columns = {name: getattr(self, name) for name in FIELDS} | self.more
        try:
            train = self.description.train_mask(protocol, columns)
        except ValueError as error:
            raise StoreError(f"{self.folder}: {error}") from None
        if train.all() or not train.any():
            half = "test" if train.all() else "training"
            raise StoreError(f"{self.folder}: no {half} clip under protocol {protocol}")
        return np.flatnonzero(train), np.flatnonzero(~train)

    def clip(self, row: int) -> np.ndarray:
        """The frames of one clip: (T, M, V, C) float32."""
        return self.joints[self.start[row] : self.start[row] + self.frames[row]]


def store_names(data_root: str | Path) -> list[str]:
    """The names of the stores in a folder, in order."""
    return sorted(path.parent.name for path in Path(data_root).glob("[!.]*/samples.csv"))


def open_store(data_root: str | Path, dataset: str) -> Store:
    """Open DATA_ROOT/DATASET. Nothing stays in memory but samples.csv and store.json.

    All coordinates are read once, to see that they are numbers of metres. Raises StoreError, one
    line with the file and its fault, where files are missing, damaged, or disagree.
    """
    folder = Path(data_root) / dataset
    _check_there(Path(data_root), dataset)
    description = _read_description(folder)
    try:
        joints = _map_joints(folder / "joints.npy", description.layout)
        text = (folder / "samples.csv").read_bytes()
        table = _read_table(folder / "samples.csv", text)
        if not (folder / "store.json").exists():
            listed = {protocol: Split(protocol) for protocol in OLD_PROTOCOLS if protocol in table}
            description = replace(description, splits={**description.splits, **listed})
        names, columns = _read_samples(folder / "samples.csv", table, description)
        _check_frames(folder, names, columns, len(joints))
        more = {column: columns.pop(column) for column in description.more_columns}
        facts = {"fingerprint": hashlib.sha256(text).hexdigest(), "more": more}
        store = Store(dataset, folder, description, joints, names, **columns, **facts)
        _check_coordinates(store)
    except _Damage as damage:
        raise StoreError(f"{damage}; write the store anew with `{description.command}`") from None
    return store


class _Damage(Exception):
    """What is wrong with a file: its path and the fault."""


def _check_there(data_root: Path, dataset: str) -> None:
    # A store is a folder of DATA_ROOT, by its plain name.
    others = store_names(data_root)
    there = f"; {data_root} holds {', '.join(others) or 'no store'}"
    folder = data_root / dataset
    plain = Path(dataset).name == dataset and dataset[:1] not in ("", ".")
    if dataset not in KNOWN and not (plain and folder.is_dir()):
        raise StoreError(f"there is no data set {dataset!r}{there}")
    for name in ("joints.npy", "samples.csv"):
        if not (folder / name).is_file():
            command = f" with `{KNOWN[dataset].command}`" if dataset in KNOWN else ""
            raise StoreError(
                f"{folder / name} is missing; prepare the data{command}, or name another "
                f"--data-root{there}"
            )


def _read_description(folder: Path) -> Description:
    path, known = folder / "store.json", KNOWN.get(folder.name)
    if not path.exists():
        if known is None:
            raise StoreError(
                f"{path} is missing; only the stores {', '.join(KNOWN)} are known without it: "
                "write the store anew with the command that made it"
            )
        return known
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            raise DescriptionError("no file, or a too large one")
        return Description.from_json(path.read_text(encoding="utf-8"))
    except (DescriptionError, UnicodeDecodeError) as error:
        command = f"`{known.command}`" if known else "the command that made it"
        raise StoreError(f"{path}: {error}; write the store anew with {command}") from None


def _map_joints(path: Path, layout: Layout) -> np.ndarray:
    # Of what a .npy file can say, only what numpy.save says of a store's array is taken, and held
    # against the file's size before anything is mapped: a damaged header must not fail in a run.
    with path.open("rb") as file:
        start = file.read(10)  # magic, version, length of the header
        header = file.read(int.from_bytes(start[8:], "little")).decode("latin-1")
    if start[:8] != b"\x93NUMPY\x01\x00" or not header.endswith("\n"):
        raise _Damage(f"{path}: not a whole .npy file")
    said = _HEADER.fullmatch(header)
    shape = layout.frame_shape
    if not said or tuple(map(int, said.groups()[1:])) != shape:
        expected = ", ".join(map(str, ("F", *shape)))
        raise _Damage(f"{path}: expected float32 ({expected}), the header says {header[:80]!r}")
    offset, frames = len(start) + len(header), int(said[1])
    size, announced = path.stat().st_size, offset + frames * 4 * layout.frame_size
    if frames < 1 or size != announced:
        raise _Damage(f"{path}: the header announces {announced} bytes, the file has {size}")
    # Copy-on-write, since torch takes no array that it could not write to; nobody writes.
    return np.memmap(path, np.float32, "c", offset, (frames, *shape))


def _read_table(path: Path, text: bytes) -> dict[str, tuple[str, ...]]:
    # The values of each column of samples.csv.
    try:
        reader = csv.reader(text.decode().splitlines(), strict=True)
        header = next(reader, [])
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise _Damage(f"{path}: not a CSV file ({error})") from None
    if not rows and "name" in header:
        raise _Damage(f"{path}: holds no clip")
    for line, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise _Damage(f"{path}, line {line}: {len(row)} values, the header has {len(header)}")
    return dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else {}


def _read_samples(
    path: Path, table: dict[str, tuple[str, ...]], description: Description
) -> tuple[list[str], dict[str, np.ndarray]]:
    # Names, and the columns of integers by name.
    columns = (*COLUMNS, *description.more_columns)
    missing = [column for column in ("name", *columns) if column not in table]
    if missing:
        raise _Damage(f"{path}, line 1: no column {missing[0]!r}")
    first: dict[str, int] = {}
    for line, name in enumerate(table["name"], start=2):
        if not name.strip():
            raise _Damage(f"{path}, line {line}: the name is empty")
        if (before := first.setdefault(name, line)) != line:
            raise _Damage(f"{path}, line {line}: the name {name[:60]!r} is that of line {before}")
    return list(first), {column: _integers(path, column, table[column]) for column in columns}


def _integers(path: Path, column: str, values: tuple[str, ...]) -> np.ndarray:
    least = 1 if column in COLUMNS and column != "start" else 0
    most = 10**15 if column in COLUMNS else 1
    for line, value in enumerate(values, start=2):
        # Digits alone: no sign, no underscore, no number too long for an int64.
        digits = value.isascii() and value.isdigit() and len(value) <= 15
        if not (digits and least <= int(value) <= most):
            raise _Damage(f"{path}, line {line}: {column} is {value[:20]!r}")
    return np.array(values, dtype=np.int64)


def _check_frames(
    folder: Path, names: list[str], columns: dict[str, np.ndarray], frames: int
) -> None:
    # Clips lie one after another, as many frames as joints.npy has.
    start = columns["start"]
    end = start + columns["frames"]
    wrong = np.flatnonzero(start != np.concatenate([[0], end[:-1]]))
    if len(wrong):
        name = names[wrong[0]]
        raise _Damage(f"{folder / 'samples.csv'}: {name} does not start where the clip before ends")
    if end[-1] != frames:
        raise _Damage(f"{folder}: samples.csv counts {end[-1]} frames, joints.npy holds {frames}")


def _check_coordinates(store: Store) -> None:
    # Each time that a store is opened: a mark that it was good once would not see later damage.
    # Read in parts and not through the mapping, which would count as memory of this process.
    path, size = store.folder / "joints.npy", store.layout.frame_size
    with path.open("rb") as file:
        file.seek(store.joints.offset)
        for first in range(0, len(store.joints), CHECKED_FRAMES):
            part = np.fromfile(file, "<f4", CHECKED_FRAMES * size)
            if part.min() >= -MAX_METRES and part.max() <= MAX_METRES:  # false for NaN too
                continue
            wrong = np.argmax(~(np.abs(part) <= MAX_METRES)) // size
            row = np.searchsorted(store.start, first + wrong, side="right") - 1
            raise _Damage(
                f"{path}: clip {store.names[row]} holds a coordinate that is not within "
                f"{MAX_METRES:.0f} m"
            )
