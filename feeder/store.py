"""A store: all clips of a data set, one after another, in a folder with three files.

joints.npy    (F, M, V, C) float32, metres: the frames of all clips, without padding
samples.csv   one row a clip: name, setup, camera, subject, replication, action, start, frames
store.json    the description of the data set; NTU RGB+D and PKU-MMD are known without it
"""

import contextlib
import csv
import hashlib
import mmap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from common import UserError
from feeder.datasets.known import KNOWN
from feeder.description import FIELDS, UNLABELED, Description, Split
from feeder.skeletons import MAX_METRES, DescriptionError, Layout, Skeleton

OLD_PROTOCOLS = ("cross_subject", "cross_view", "cross_setup")  # columns of older stores
CHECKED = ".checked"  # a file of an older store: the coordinates were checked
CHUNK = 2**14  # frames that are checked at once


class StoreError(UserError):
    """A store is missing or damaged, or has no such clips. The message names the file or folder."""


@dataclass(frozen=True)
class Store:
    """A data set of N clips, as `data_gen` wrote it.

    dataset: the name of the folder
    folder: the path of the folder
    description: what store.json says
    joints: (F, M, V, C) float32, metres; the frames of all clips without padding, mapped from disk
    names: N strings, sorted
    setup, camera, subject, replication, action: (N,) int64, from 1
    start: (N,) int64, the first frame of each clip in `joints`
    length: (N,) int64, the number of frames of each clip
    fingerprint: SHA-256 of samples.csv
    more: {further column of samples.csv: (N,) int64}, as the description names them
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
    length: np.ndarray
    fingerprint: str
    more: dict[str, np.ndarray]

    @property
    def title(self) -> str:
        """The data set's title for readers."""
        return self.description.title

    @property
    def layout(self) -> Layout:
        """The bodies and the skeleton in a frame."""
        return self.description.layout

    @property
    def skeleton(self) -> Skeleton:
        """The joints of a body and the bones between them."""
        return self.description.layout.skeleton

    @property
    def preparation(self) -> dict[str, Any]:
        """How recordings became clips, for new recordings: `alignment` and `reading`."""
        of = self.description
        return {"alignment": of.alignment, "reading": dict(of.reading)}

    @property
    def has_labels(self) -> bool:
        """Whether the clips have labels; if not, all have the action 1."""
        return self.description.classes != UNLABELED

    @property
    def label(self) -> np.ndarray:
        """The class of each clip: (N,) int64, from 0."""
        return self.action - 1

    @property
    def num_classes(self) -> int:
        """The number of classes: that of the description, or more if the clips have more."""
        return max(self.description.num_classes, int(self.action.max()))

    @property
    def class_names(self) -> list[str]:
        """The names of classes 0, 1, ... as `label` counts them."""
        named = self.description.classes
        return [*named, *(f"action {i + 1}" for i in range(len(named), self.num_classes))]

    @property
    def protocols(self) -> tuple[str, ...]:
        """The names of the data set's protocols."""
        return tuple(self.description.splits)

    @property
    def nbytes(self) -> int:
        """The size of all frames in bytes."""
        return self.joints.nbytes

    def official(self, protocol: str) -> tuple[int, int] | None:
        """The published numbers of (training, test) clips, or None."""
        return self.description.official.get(protocol)

    def split(self, protocol: str) -> tuple[np.ndarray, np.ndarray]:
        """The rows of the training clips and of the test clips, each (n,) int64.

        There may be no test clip. Raises StoreError if the data set has no such protocol, or no
        training clip under it.
        """
        columns = {name: getattr(self, name) for name in FIELDS} | self.more
        try:
            train = self.description.train_mask(protocol, columns)
        except UserError as error:
            raise StoreError(f"{self.folder}: {error}") from None
        if not train.any():
            raise StoreError(f"{self.folder}: no training clip under protocol {protocol}")
        return np.flatnonzero(train), np.flatnonzero(~train)

    def require_split(self, protocol: str) -> tuple[np.ndarray, np.ndarray]:
        """What `split` returns, for an evaluation: StoreError without labels or test clips."""
        if not self.has_labels:
            raise StoreError(
                f"{self.folder} has no labels, which an evaluation needs; prepare it with a column "
                "label, or evaluate on another data set"
            )
        train, test = self.split(protocol)
        if not len(test):
            raise StoreError(
                f"{self.folder}: no test clip under protocol {protocol}; mark some test, or name "
                f"another --protocol of {', '.join(self.protocols)}"
            )
        return train, test

    def sizes(self, rows: np.ndarray) -> tuple[int, ...]:
        """The number of clips of `rows` (n,) in each data set, as of a Mixture; here only one."""
        return (len(rows),)

    def clip(self, row: int) -> np.ndarray:
        """The frames of one clip: (T, M, V, C) float32."""
        return self.joints[self.start[row] : self.start[row] + self.length[row]]

    def require_whole(self) -> None:
        """Raise StoreError if joints.npy became shorter after it was opened.

        Without this check (microseconds) a read behind the end kills the process by SIGBUS.
        """
        mapping = self.joints.base
        if isinstance(mapping, mmap.mmap) and mapping.size() < len(mapping):
            path = self.folder / "joints.npy"
            raise StoreError(f"{path} was cut short while it was read; write the store anew")


def store_names(data_root: str | Path) -> list[str]:
    """The names of the stores in a folder, sorted."""
    return sorted(path.parent.name for path in Path(data_root).glob("[!.]*/samples.csv"))


def open_store(data_root: str | Path, dataset: str) -> Store:
    """Open the store DATA_ROOT/DATASET. Only samples.csv and store.json are read into memory.

    Raises StoreError if a file is missing or damaged, or if the files do not fit together.

    The coordinates are read only if they were not checked since joints.npy was written; then a file
    `.checked` notes it.
    """
    folder = Path(data_root) / dataset
    joints_path, samples_path = folder / "joints.npy", folder / "samples.csv"
    command = f"`{KNOWN[dataset].command}`" if dataset in KNOWN else "the command that made it"
    for path in (joints_path, samples_path):
        if not path.is_file():
            there = ", ".join(store_names(data_root)) or "no store"
            raise StoreError(
                f"{path} is missing; prepare the data with {command}, or name another --data-root; "
                f"{data_root} holds {there}"
            )
    try:
        path = folder / "store.json"
        description = _read_description(path)
        path = samples_path
        with path.open(encoding="utf-8", newline="") as file:
            header = next(csv.reader(file), [])
        if not (folder / "store.json").exists():
            listed = {protocol: Split(protocol) for protocol in OLD_PROTOCOLS if protocol in header}
            description = replace(description, splits={**description.splits, **listed})
        names = _read_columns(path, header, ["name"], str)[0].tolist()
        numbers = [*FIELDS, "start", "frames", *description.more_columns]
        columns = dict(zip(numbers, _read_columns(path, header, numbers, np.int64), strict=True))
        start, length = columns["start"], columns["frames"]
        if columns["action"].min() < 1 or length.min() < 1:
            raise ValueError("an action or a number of frames is below 1")
        if (start != np.cumsum(length) - length).any():
            raise ValueError("the clips do not lie one after another in joints.npy")
        path = joints_path
        # Copy-on-write: torch wants an array that can be written, though nobody writes to it.
        joints = np.lib.format.open_memmap(path, mode="c")
        shape = (int(length.sum()), *description.layout.frame_shape)
        if joints.dtype != np.float32 or joints.shape != shape:
            raise ValueError(
                f"it holds {joints.dtype} {joints.shape}, by store.json and samples.csv it should "
                f"hold float32 {shape}"
            )
        if not _is_checked(folder, description):
            check_coordinates(joints, names, start)
            with contextlib.suppress(OSError):  # a folder that this user may not write to
                (folder / CHECKED).touch()
    except (DescriptionError, ValueError, OverflowError) as error:
        raise StoreError(f"{path}: {error}; write the store anew with {command}") from None
    return Store(
        dataset=dataset,
        folder=folder,
        description=description,
        joints=joints,
        names=names,
        start=start,
        length=length,
        fingerprint=hashlib.sha256(samples_path.read_bytes()).hexdigest(),
        more={column: columns[column] for column in description.more_columns},
        **{field: columns[field] for field in FIELDS},
    )


def _read_description(path: Path) -> Description:
    if path.exists():
        return Description.from_json(path.read_text(encoding="utf-8"))
    if path.parent.name not in KNOWN:
        raise ValueError(f"it is missing; only {', '.join(KNOWN)} are known without it")
    return KNOWN[path.parent.name]


def _read_columns(path: Path, header: list[str], columns: list[str], kind: type) -> np.ndarray:
    # The values of K columns of samples.csv: (K, N).
    where = [header.index(column) for column in columns]
    form = {"delimiter": ",", "quotechar": '"', "comments": None, "encoding": "utf-8"}
    table = np.loadtxt(path, kind, skiprows=1, usecols=where, ndmin=2, **form)
    return np.ascontiguousarray(table.T)


def _is_checked(folder: Path, description: Description) -> bool:
    written = (folder / "joints.npy").stat().st_mtime_ns
    notes = [folder / CHECKED, *[folder / "store.json"] * description.checked]
    return any(note.exists() and note.stat().st_mtime_ns >= written for note in notes)


def check_coordinates(joints: np.memmap, names: list[str], start: np.ndarray) -> None:
    """Raise ValueError with a clip's name if a coordinate is not within MAX_METRES, or is NaN.

    joints: (F, M, V, C), mapped from disk
    names, start: for each clip its name and its first frame
    """
    # The file is read in parts: pages read through the mapping count as memory of the process.
    with open(joints.filename, "rb") as file:
        file.seek(joints.offset)
        for first in range(0, len(joints), CHUNK):
            part = np.fromfile(file, np.float32, CHUNK * joints[0].size)
            if not (part.min() >= -MAX_METRES and part.max() <= MAX_METRES):  # NaN included
                wrong = np.argmax(~(np.abs(part) <= MAX_METRES)) // joints[0].size
                row = np.searchsorted(start, first + wrong, side="right") - 1
                raise ValueError(
                    f"clip {names[row]} holds a coordinate that is not within {MAX_METRES:.0f} m"
                )
