"""A store: all clips of a data set, one after another, in a folder with three files.

joints.npy    (F, M, V, C) float32, metres: the frames of all clips, without padding
samples.csv   one row a clip: name, setup, camera, subject, replication, action, start, frames
store.json    the description of the data set; NTU RGB+D and PKU-MMD are known without it
"""

import csv
import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from common import UserError
from feeder.datasets import KNOWN
from feeder.description import CHECKED, FIELDS, UNLABELED, Description, Split
from feeder.skeletons import Layout, Skeleton, require_metres

OLD_PROTOCOLS = ("cross_subject", "cross_view", "cross_setup")  # columns of older stores


@dataclass(frozen=True)
class Store:
    """A data set of N clips, as `data_gen` wrote it."""

    dataset: str
    folder: Path
    description: Description
    joints: np.ndarray  # (F, M, V, C) float32, metres; all clips without padding, mapped from disk
    names: list[str]  # sorted
    setup: np.ndarray  # this and the next columns: (N,) int64, from 1
    camera: np.ndarray
    subject: np.ndarray
    replication: np.ndarray
    action: np.ndarray
    start: np.ndarray  # (N,) int64, where each clip lies in `joints`, in frames
    length: np.ndarray
    fingerprint: str  # SHA-256 of samples.csv
    more: dict[str, np.ndarray]  # {column of a split in samples.csv: (N,) int64}

    @property
    def title(self) -> str:
        return self.description.title

    @property
    def layout(self) -> Layout:
        return self.description.layout

    @property
    def skeleton(self) -> Skeleton:
        return self.description.layout.skeleton

    @property
    def preparation(self) -> dict[str, Any]:
        return self.description.preparation

    @property
    def label(self) -> np.ndarray:
        """The class of each clip: (N,) int64, from 0."""
        return self.action - 1

    @property
    def num_classes(self) -> int:
        """The description's, or the greatest action if that is more."""
        return max(len(self.description.classes), int(self.action.max()))

    @property
    def class_names(self) -> list[str]:
        named = self.description.classes
        return [*named, *(f"action {i + 1}" for i in range(len(named), self.num_classes))]

    @property
    def protocols(self) -> tuple[str, ...]:
        return tuple(self.description.splits)

    @property
    def nbytes(self) -> int:
        return self.joints.nbytes

    def is_training(self, protocol: str) -> np.ndarray:
        """Which clips train under a protocol: (N,) bool."""
        columns = {name: getattr(self, name) for name in FIELDS} | self.more
        return self.description.train_mask(protocol, columns)

    def split(self, protocol: str) -> tuple[np.ndarray, np.ndarray]:
        """The rows of the training clips and of the test clips (maybe none), each (n,) int64."""
        train = self.is_training(protocol)
        if not train.any():
            raise UserError(f"{self.folder}: no training clip under protocol {protocol}")
        return np.flatnonzero(train), np.flatnonzero(~train)

    def require_split(self, protocol: str) -> tuple[np.ndarray, np.ndarray]:
        """What `split` returns, for an evaluation: UserError without labels or test clips."""
        if self.description.classes == UNLABELED:
            raise UserError(f"{self.folder} has no labels; prepare it with a column label")
        train, test = self.split(protocol)
        if not len(test):
            others = ", ".join(self.protocols)
            raise UserError(f"{self.folder}: no test clip under --protocol {protocol} of {others}")
        return train, test

    def sizes(self, rows: np.ndarray) -> tuple[int, ...]:
        """The number of clips of `rows` (n,) in each data set, as of a Mixture; here only one."""
        return (len(rows),)

    def clip(self, row: int) -> np.ndarray:
        """The frames of one clip: (T, M, V, C) float32."""
        return self.joints[self.start[row] : self.start[row] + self.length[row]]


def open_store(data_root: str | Path, dataset: str) -> Store:
    """Open the store DATA_ROOT/DATASET; joints.npy stays on disk. UserError if it is damaged."""
    folder = Path(data_root) / dataset
    joints_path, samples_path = folder / "joints.npy", folder / "samples.csv"
    command = f"`{KNOWN[dataset].command}`" if dataset in KNOWN else "the command that made it"
    if not (joints_path.is_file() and samples_path.is_file()):
        stores = sorted(path.parent.name for path in Path(data_root).glob("[!.]*/samples.csv"))
        there = ", ".join(stores) or "no store"
        fault = f"lacks joints.npy or samples.csv; prepare the data with {command}, or name another"
        raise UserError(f"{folder} {fault} --data-root; {data_root} holds {there}")
    try:
        with samples_path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        texts = dict(zip(header, zip(*rows, strict=True), strict=True))
        description = _read_description(folder, header)
        columns = [*FIELDS, "start", "frames", *description.more_columns]
        numbers = {column: np.array(texts[column], np.int64) for column in columns}
        names, start, length = list(texts["name"]), numbers["start"], numbers["frames"]
        if numbers["action"].min() < 1 or (start != np.cumsum(length) - length).any():
            raise ValueError("an action is below 1, or clips do not lie one after another")
        # Copy-on-write: torch wants an array that can be written, though nobody writes to it.
        joints = np.lib.format.open_memmap(joints_path, mode="c")
        shape = (int(length.sum()), *description.layout.frame_shape)
        if joints.dtype != np.float32 or joints.shape != shape:
            raise ValueError(f"joints.npy is {joints.dtype} {joints.shape}, not float32 {shape}")
        if not description.checked and not (folder / CHECKED).exists():
            for name, clip in zip(names, np.split(joints, start[1:]), strict=True):
                require_metres(f"clip {name}", clip)
            with suppress(OSError):  # a folder that this user may not write to
                (folder / CHECKED).touch()
    except (UserError, ValueError, KeyError, OverflowError) as error:
        what = f"no column {error}" if isinstance(error, KeyError) else error
        raise UserError(f"{folder}: {what}; write the store anew with {command}") from None
    fingerprint = hashlib.sha256(samples_path.read_bytes()).hexdigest()
    fields = [numbers[field] for field in FIELDS]
    more = {column: numbers[column] for column in description.more_columns}
    columns = (names, *fields, start, length)  # in the order of Store
    return Store(dataset, folder, description, joints, *columns, fingerprint, more)


def open_folder(folder: Path) -> Store:
    """Open the store in a folder, wherever it is."""
    folder = folder.resolve()
    return open_store(folder.parent, folder.name)


def _read_description(folder: Path, header: list[str]) -> Description:
    # header: the columns of samples.csv, among them the splits of a store without store.json
    path, known = folder / "store.json", KNOWN.get(folder.name)
    if path.exists():
        return Description.from_json(path.read_text(encoding="utf-8"))
    if known is None:
        raise ValueError(f"store.json is missing; only {', '.join(KNOWN)} are known without it")
    listed = {protocol: Split(protocol) for protocol in OLD_PROTOCOLS if protocol in header}
    return replace(known, splits={**known.splits, **listed})
