"""Write a store, clip by clip: joints.npy, samples.csv and store.json."""

import csv
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from common import UserError, fsync
from feeder.description import CHECKED, FIELDS, Description
from feeder.skeletons import require_metres

FILES = {"joints.npy", "samples.csv", "store.json", CHECKED}


class StoreWriter:
    """Write a store in a `with` block, to a hidden folder; `commit` moves it to its place.

    A block that ends without `commit` leaves nothing. Entering it raises UserError if the folder
    holds anything else than a store, and removes what a run that was killed has left.
    """

    def __init__(self, folder: str | Path, description: Description):
        self.folder = Path(folder).resolve()  # a link is followed, to stay on one file system
        self.part = self.folder.with_name(f".{self.folder.name}.{os.getpid()}.part")
        self.old = self.folder.with_name(f".{self.folder.name}.old")
        self.description = description
        self.columns = (*FIELDS, "start", "frames", *description.more_columns)
        self.rows: list[tuple] = []  # of samples.csv
        self.frames = 0

    def __enter__(self) -> "StoreWriter":
        if self.folder.exists():
            held = {path.name for path in self.folder.iterdir()} if self.folder.is_dir() else {""}
            if others := sorted(held - FILES):
                fault = f"is no store (it holds {others[0]!r}), so it is not replaced"
                raise UserError(f"{self.folder} {fault}; name another --out_folder")
        self._clear(*self.folder.parent.glob(f".{self.folder.name}.*.part"))
        self.part.mkdir(parents=True)
        self.joints = open(self.part / "joints.npy", "wb")
        self._write_header()
        return self

    def __exit__(self, *_) -> None:
        try:
            self.joints.close()
        finally:
            self._clear(self.part)

    def _write_header(self) -> None:
        shape = (self.frames, *self.description.layout.frame_shape)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self.joints, header)  # 128 bytes for any number

    def _clear(self, *parts: Path) -> None:
        if self.old.exists() and not self.folder.exists():  # killed between the two renames
            self.old.rename(self.folder)
        for left in (self.old, *parts):
            shutil.rmtree(left, ignore_errors=True)

    def add(self, name: str, fields: tuple, joints: np.ndarray, more: tuple = ()) -> None:
        """Append a clip; names come in alphabetical order.

        fields: setup, camera, subject, replication, action, each from 1
        joints: (T, M, V, C), metres; UserError if a coordinate is none
        more: 0 or 1 for each further column that the description names
        """
        row = (name, *fields, self.frames, len(joints), *more)
        fits = joints.shape[1:] == self.description.layout.frame_shape
        fits &= len(row) == 1 + len(self.columns)
        if not fits or (self.rows and name <= self.rows[-1][0]):
            raise ValueError(f"{row} with joints {joints.shape} is no next row of this store")
        require_metres(name, joints)
        self.joints.write(np.ascontiguousarray(joints, dtype="<f4").data)
        self.rows.append(row)
        self.frames += len(joints)

    def commit(self) -> None:
        """Put the clips in the place of the store, atomically. Raises UserError without a clip."""
        if not self.rows:
            raise UserError(f"no clip for {self.folder}, so no store was written")
        with open(self.part / "samples.csv", "w", encoding="utf-8", newline="") as samples:
            writer = csv.writer(samples, lineterminator="\n")
            writer.writerows([("name", *self.columns), *self.rows])
        description = replace(self.description, checked=True)
        (self.part / "store.json").write_text(description.to_json(), encoding="utf-8")
        self.joints.seek(0)
        self._write_header()
        self.joints.close()
        for path in (*self.part.iterdir(), self.part):
            fsync(path)
        if self.folder.exists():  # no system can replace a folder in one step
            self.folder.rename(self.old)
        self.part.rename(self.folder)
        fsync(self.folder.parent)

    def split_counts(self) -> dict[str, tuple[int, int]]:
        """{protocol: the numbers of (training, test) clips}."""
        table = zip(*(row[1:] for row in self.rows), strict=True)
        columns = dict(zip(self.columns, map(np.array, table), strict=True))
        protocols = self.description.splits
        train = {p: int(self.description.train_mask(p, columns).sum()) for p in protocols}
        return {protocol: (count, len(self.rows) - count) for protocol, count in train.items()}
