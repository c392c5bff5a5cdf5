"""Write a store, clip by clip: joints.npy, samples.csv and store.json."""

import contextlib
import csv
import fcntl
import os
import shutil
import struct
import warnings
from pathlib import Path

import numpy as np

from data_gen.preparing.files import sync
from feeder.description import FIELDS, Description
from feeder.store import CHECKED

FILES = ("joints.npy", "samples.csv", "store.json", CHECKED)


class StoreError(Exception):
    """The store cannot be written; the message says why and what to do."""


def npy_header(frames: int, frame_shape: tuple[int, int, int]) -> bytes:
    """The header of an .npy file with a float32 array (frames, M, V, C): always 128 bytes.

    frame_shape: (M, V, C)
    The format is version 1.0 of numpy.lib.format.
    """
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {(frames, *frame_shape)}, }}"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + text.ljust(117).encode() + b"\n"


class StoreWriter:
    """Write a store; the memory does not grow with the number of clips. Use it in a `with` block.

    folder: the folder of the store
    description: what the data set is; it becomes store.json

    The files are written to a hidden folder beside the store; `commit` moves this folder to the
    store's place. So a store is always whole. An older store stays until then, and a process that
    has opened it can go on reading. A `with` block that ends without `commit` leaves nothing.
    Entering the block raises StoreError if another process writes the same store, or if the folder
    holds something else than a store.
    """

    def __init__(self, folder: str | Path, description: Description):
        self.folder = Path(folder).resolve()  # a link is followed, to stay on one file system
        self.new = self.folder.with_name(f".{self.folder.name}.new")
        self.old = self.folder.with_name(f".{self.folder.name}.old")
        self.lock_path = self.folder.with_name(f".{self.folder.name}.lock")
        self.description = description
        self.clips = self.frames = 0
        self.last_name = ""

    def __enter__(self) -> "StoreWriter":
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.lock = _lock(self.lock_path)
        try:
            self._check_place()
            self._clear()
            self.new.mkdir()
            self.joints = open(self.new / "joints.npy", "wb")
            self.samples = open(self.new / "samples.csv", "w", encoding="utf-8", newline="")
            self.joints.write(npy_header(0, self.description.layout.frame_shape))
            columns = ("name", *FIELDS, "start", "frames", *self.description.more_columns)
            self.table = csv.writer(self.samples, lineterminator="\n")
            self.table.writerow(columns)
            (self.new / "store.json").write_text(self.description.to_json(), encoding="utf-8")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        for name in ("joints", "samples"):
            with contextlib.suppress(AttributeError, OSError):  # a full disk fails here once more
                getattr(self, name).close()
        self._clear()
        self.lock_path.unlink(missing_ok=True)
        os.close(self.lock)

    def _clear(self) -> None:
        """Remove what this run or a killed run did not finish."""
        if self.old.exists() and not self.folder.exists():  # killed between the two renames
            self.old.rename(self.folder)
        for left in (self.old, self.new):
            shutil.rmtree(left, ignore_errors=True)

    def _check_place(self) -> None:
        """Raise StoreError if something else than a store is in the store's place."""
        if self.folder.exists():
            if not self.folder.is_dir():
                raise StoreError(
                    f"{self.folder} is a file; move it away or name another --out_folder"
                )
            others = sorted({entry.name for entry in self.folder.iterdir()} - set(FILES))
            if others:
                raise StoreError(
                    f"{self.folder} holds more than a store ({others[0]}), so it is not replaced; "
                    "move it away or name another --out_folder"
                )

    def add(
        self,
        name: str,
        fields: tuple[int, int, int, int, int],
        joints: np.ndarray,
        more: tuple[int, ...] = (),
    ) -> None:
        """Append a clip.

        name: printable; the names must come in alphabetical order
        fields: setup, camera, subject, replication, action, each from 1
        joints: (T, M, V, C), metres
        more: 0 or 1 for each further column that the description names
        Raises ValueError if one of these is wrong.
        """
        if not name.isprintable():  # a line break would end its line of samples.csv
            raise ValueError(f"{name!r} is not printable")
        if name <= self.last_name:
            raise ValueError(f"{name} does not come after {self.last_name}")
        if joints.shape[1:] != (shape := self.description.layout.frame_shape):
            raise ValueError(f"{name}: shape {joints.shape} is not frames of {shape}")
        if len(more) != len(self.description.more_columns):
            raise ValueError(f"{name}: {len(more)} values of {self.description.more_columns}")
        self.joints.write(np.ascontiguousarray(joints, dtype="<f4").data)
        row = (name, *fields, self.frames, len(joints), *more)
        self.table.writerow(row)
        self.last_name = name
        self.clips += 1
        self.frames += len(joints)

    def commit(self) -> None:
        """Put the clips that were added in the place of the store."""
        self.joints.seek(0)
        self.joints.write(npy_header(self.frames, self.description.layout.frame_shape))
        for file in (self.joints, self.samples):
            file.flush()
            os.fsync(file.fileno())
            file.close()
        sync(self.new / "store.json")
        sync(self.new)
        if self.folder.exists():  # no system can replace a folder in one step
            self.folder.rename(self.old)
        self.new.rename(self.folder)
        sync(self.folder.parent)
        shutil.rmtree(self.old, ignore_errors=True)


def _lock(path: Path) -> int:
    """Lock a file: a descriptor that holds the lock. The lock of a dead process ends by itself."""
    while True:
        lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            store = path.with_name(path.stem.removeprefix("."))
            raise StoreError(
                f"another process is writing {store}; wait for it or name another --out_folder"
            ) from None
        except OSError:
            warnings.warn(
                f"{path.parent} has no file locks; do not write there twice at once", stacklevel=2
            )
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_ino == os.fstat(lock).st_ino:
                return lock
        os.close(lock)  # the previous holder removed the file between the open and the lock
