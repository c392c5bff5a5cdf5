"""Write a store, clip by clip: joints.npy, samples.csv and store.json."""

import csv
import os
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np

from common import UserError, fsync
from data_gen.clip import require_metres
from feeder.description import FIELDS, Description
from feeder.store import CHECKED

FILES = ("joints.npy", "samples.csv", "store.json", CHECKED)


class StoreWriter:
    """Write a store atomically; use it in a `with` block. Frames do not stay in memory.

    folder: the folder of the store
    description: what the data set is; it becomes store.json

    The files go to a hidden folder beside the store, and `commit` moves it to the store's place.
    Until then an older store stays, and whoever has opened it can go on reading. A block that ends
    without `commit` leaves nothing. Entering it raises UserError if the folder holds anything else
    than a store.
    """

    def __init__(self, folder: str | Path, description: Description):
        self.folder = Path(folder).resolve()  # a link is followed, to stay on one file system
        self.part = self.folder.with_name(f".{self.folder.name}.{os.getpid()}.part")
        self.old = self.folder.with_name(f".{self.folder.name}.old")
        self.description = description
        self.frames = 0
        self.rows: list[tuple] = []  # the lines of samples.csv

    @property
    def clips(self) -> int:
        """The number of clips so far."""
        return len(self.rows)

    def __enter__(self) -> "StoreWriter":
        if self.folder.exists():
            held = {path.name for path in self.folder.iterdir()} if self.folder.is_dir() else {""}
            if others := sorted(held - set(FILES)):
                raise UserError(
                    f"{self.folder} is no store (it holds {others[0]!r}), so it is not replaced; "
                    "move it away or name another --out_folder"
                )
        self._clear()
        self.part.mkdir(parents=True)
        self.joints = open(self.part / "joints.npy", "wb")
        self.joints.write(npy_header(0, self.description.layout.frame_shape))
        return self

    def __exit__(self, *_) -> None:
        try:
            self.joints.close()
        finally:
            self._clear()

    def _clear(self) -> None:
        """Remove what this run, or a run that was killed, did not finish."""
        if self.old.exists() and not self.folder.exists():  # killed between the two renames
            self.old.rename(self.folder)
        parts = self.folder.parent.glob(f".{self.folder.name}.*.part")
        dead = [path for path in parts if not _is_running(int(path.name.split(".")[-2]))]
        for left in (self.part, self.old, *dead):
            shutil.rmtree(left, ignore_errors=True)

    def add(
        self, name: str, fields: tuple[int, ...], joints: np.ndarray, more: tuple[int, ...] = ()
    ) -> None:
        """Append a clip.

        name: the names must come in alphabetical order
        fields: setup, camera, subject, replication, action, each from 1
        joints: (T, M, V, C), metres
        more: 0 or 1 for each further column that the description names
        Raises ValueError if these do not fit the store, UserError if a coordinate is not within
        MAX_METRES or NaN.
        """
        if self.rows and name <= self.rows[-1][0]:
            raise ValueError(f"{name} does not come after {self.rows[-1][0]}")
        if joints.shape[1:] != (shape := self.description.layout.frame_shape):
            raise ValueError(f"{name}: shape {joints.shape} is not frames of {shape}")
        if len(fields) != len(FIELDS) or len(more) != len(self.description.more_columns):
            raise ValueError(f"{name}: {fields} and {more} do not fit the columns of the store")
        require_metres(name, joints)
        self.joints.write(np.ascontiguousarray(joints, dtype="<f4").data)
        self.rows.append((name, *fields, self.frames, len(joints), *more))
        self.frames += len(joints)

    def commit(self) -> None:
        """Put the clips in the place of the store, atomically."""
        columns = ("name", *FIELDS, "start", "frames", *self.description.more_columns)
        with open(self.part / "samples.csv", "w", encoding="utf-8", newline="") as samples:
            csv.writer(samples, lineterminator="\n").writerows([columns, *self.rows])
        self.joints.seek(0)
        self.joints.write(npy_header(self.frames, self.description.layout.frame_shape))
        self.joints.close()
        description = replace(self.description, checked=True)
        # The last file: `checked` holds only if joints.npy is not newer than store.json.
        (self.part / "store.json").write_text(description.to_json(), encoding="utf-8")
        for path in (*self.part.iterdir(), self.part):
            fsync(path)
        if self.folder.exists():  # no system can replace a folder in one step
            self.folder.rename(self.old)
        self.part.rename(self.folder)
        fsync(self.folder.parent)

    def split_counts(self) -> dict[str, tuple[int, int]]:
        """{protocol: the numbers of (training, test) clips}."""
        columns = (*FIELDS, "start", "frames", *self.description.more_columns)
        table = np.array([row[1:] for row in self.rows]).reshape(-1, len(columns)).T
        values = dict(zip(columns, table, strict=True))
        train = {p: self.description.train_mask(p, values) for p in self.description.splits}
        return {p: (int(mask.sum()), int((~mask).sum())) for p, mask in train.items()}


def npy_header(frames: int, frame_shape: tuple[int, int, int]) -> bytes:
    """The header of an .npy file with a float32 array (frames, M, V, C): always 128 bytes.

    frame_shape: (M, V, C)
    The format is version 1.0 of numpy.lib.format.
    """
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {(frames, *frame_shape)}, }}"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + text.ljust(117).encode() + b"\n"


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it belongs to somebody else
        pass
    return True
