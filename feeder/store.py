"""Open a store: all clips of a data set, one after another, in a folder with three files."""

import hashlib
import mmap
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from common import UserError
from feeder import store_files
from feeder.datasets.known import KNOWN
from feeder.description import FIELDS, Description, Split
from feeder.skeletons import DescriptionError, Layout, Skeleton
from feeder.store_files import Damage

OLD_PROTOCOLS = ("cross_subject", "cross_view", "cross_setup")  # columns of older stores
MOST_BYTES = 16 * 2**20  # size limit of a store.json


class StoreError(UserError):
    """A store is missing or damaged, or does not hold what was asked for.

    The message is one line, with the file or folder and what to do.
    """


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

    def require_whole(self) -> None:
        """Raise StoreError if joints.npy has become shorter since it was opened.

        Without this check (microseconds) a read behind the end kills the process without a message.
        """
        mapping = self.joints.base
        if isinstance(mapping, mmap.mmap) and mapping.size() < len(mapping):
            path = self.folder / "joints.npy"
            raise StoreError(f"{path} was cut short while it was read; write the store anew")

    def sizes(self, rows: np.ndarray) -> tuple[int, ...]:
        """How many of the clips in `rows` (n,) belong to each data set; here there is only one."""
        return (len(rows),)

    def official(self, protocol: str) -> tuple[int, int] | None:
        """The published numbers of (training, test) clips, or None."""
        return self.description.official.get(protocol)

    def split(self, protocol: str) -> tuple[np.ndarray, np.ndarray]:
        """The rows of the training clips and the rows of the test clips, each (n,) int64.

        Raises StoreError if the data set has no such protocol, or if one half is empty.
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
        return self.joints[self.start[row] : self.start[row] + self.length[row]]


def store_names(data_root: str | Path) -> list[str]:
    """The names of the stores in a folder, sorted."""
    return sorted(path.parent.name for path in Path(data_root).glob("[!.]*/samples.csv"))


def open_store(data_root: str | Path, dataset: str) -> Store:
    """Open the store DATA_ROOT/DATASET.

    Raises StoreError if a file is missing or damaged, or if the files do not fit together.

    Only samples.csv and store.json stay in memory. All coordinates are read once, to check that
    each is a number of metres.
    """
    folder = Path(data_root) / dataset
    _check_there(Path(data_root), dataset)
    description = _read_description(folder)
    try:
        joints = store_files.map_joints(folder / "joints.npy", description.layout)
        text = (folder / "samples.csv").read_bytes()
        table = store_files.read_table(folder / "samples.csv", text)
        if not (folder / "store.json").exists():
            listed = {protocol: Split(protocol) for protocol in OLD_PROTOCOLS if protocol in table}
            description = replace(description, splits={**description.splits, **listed})
        names, columns = store_files.read_samples(folder / "samples.csv", table, description)
        store_files.check_frames(folder, names, columns, len(joints))
        store_files.check_coordinates(folder / "joints.npy", joints, names, columns["start"])
    except Damage as damage:
        raise StoreError(f"{damage}; write the store anew with `{description.command}`") from None
    more = {column: columns.pop(column) for column in description.more_columns}
    columns["length"] = columns.pop("frames")
    facts = {"fingerprint": hashlib.sha256(text).hexdigest(), "more": more}
    return Store(dataset, folder, description, joints, names, **columns, **facts)


def _check_there(data_root: Path, dataset: str) -> None:
    # A store is a folder in DATA_ROOT; its name is no path and does not begin with a dot.
    hint = f"; {data_root} holds {', '.join(store_names(data_root)) or 'no store'}"
    folder = data_root / dataset
    plain = Path(dataset).name == dataset and dataset[:1] not in ("", ".")
    if dataset not in KNOWN and not (plain and folder.is_dir()):
        raise StoreError(f"there is no data set {dataset!r}{hint}")
    for name in ("joints.npy", "samples.csv"):
        if not (folder / name).is_file():
            command = f" with `{KNOWN[dataset].command}`" if dataset in KNOWN else ""
            raise StoreError(
                f"{folder / name} is missing; prepare the data{command}, or name another "
                f"--data-root{hint}"
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
            raise DescriptionError(f"it is no file, or has more than {MOST_BYTES} bytes")
        return Description.from_json(path.read_text(encoding="utf-8"))
    except (DescriptionError, UnicodeDecodeError) as error:
        command = f"`{known.command}`" if known else "the command that made it"
        raise StoreError(f"{path}: {error}; write the store anew with {command}") from None
