"""Read arrays in files of other code row by row, so that memory does not grow with the file."""

import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from data_gen.preparing.files import require_space
from tools.cli import UserError

BLOCK = 2**22  # bytes that are read at one time


class Rows:
    """An array of numbers in a file; rows are read when they are asked for.

    shape, dtype: as the file says.

    The file must stay open. Raises UserError where the file holds anything but one whole array of
    numbers.
    """

    def __init__(self, file: BinaryIO, start: int, size: int, where: str):
        """Open the array.

        file: holds the array as a .npy file, perhaps among other bytes.
        start, size: position and number of the bytes of the .npy file.
        where: the name of the array, for errors.
        """
        try:
            file.seek(start)
            version = np.lib.format.read_magic(file)
            read = {(1, 0): "read_array_header_1_0", (2, 0): "read_array_header_2_0"}[version]
            self.shape, by_column, self.dtype = getattr(np.lib.format, read)(file)
        except Exception as error:  # a damaged header can make numpy raise nearly any error
            raise _no_array(where, error) from None
        self._file, self._first = file, file.tell()
        if self.dtype.kind not in "fiu":
            raise UserError(f"{where} is {self.dtype}, not numbers")
        if by_column or not self.shape or min(self.shape) < 0:
            raise UserError(
                f"{where} does not lie row by row; save it again as numpy.ascontiguousarray(array)"
            )
        self._row = self.dtype.itemsize
        for length in self.shape[1:]:
            self._row *= length
        if start + size - self._first != self._row * self.shape[0]:
            raise UserError(
                f"{where} is not a whole .npy file (its size is not {self.shape}); copy it again"
            )

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """A copy of consecutive rows: (n, ...)."""
        first, last, _ = rows.indices(len(self))
        count = max(last - first, 0)
        content = os.pread(self._file.fileno(), count * self._row, self._first + first * self._row)
        return np.frombuffer(content, self.dtype).reshape(count, *self.shape[1:])

    def blocks(self) -> Iterator[np.ndarray]:
        """All rows in order, several at a time."""
        step = max(1, BLOCK // max(1, self._row))
        for first in range(0, len(self), step):
            yield self[first : first + step]


def open_npy(path: Path) -> Rows:
    """Open the array of a .npy file. Raises UserError where the file holds none."""
    require_file(path)
    file = path.open("rb")
    return Rows(file, 0, path.stat().st_size, str(path))


def open_npz(path: Path, names: list[str], scratch: Path) -> list[Rows]:
    """Open arrays of an .npz file; their checksums are verified.

    path: the file.
    names: of the arrays.
    scratch: a folder for temporary copies of compressed arrays.
    Raises UserError where the file is no whole .npz file or lacks an array.
    """
    require_file(path)
    file = path.open("rb")
    try:
        with zipfile.ZipFile(file) as archive:
            there = {entry.filename: entry for entry in archive.infolist()}
            missing = [name for name in names if f"{name}.npy" not in there]
            if missing:
                held = ", ".join(sorted(name.removesuffix(".npy") for name in there))[:100]
                raise UserError(f"{path} holds {held or 'nothing'}, but no {missing[0]}")
            return [_member(file, archive, there[f"{name}.npy"], scratch) for name in names]
    except (UserError, OSError):
        raise
    except Exception as error:  # a damaged archive can raise nearly any error
        raise UserError(
            f"{path} is not a whole .npz file ({_reason(error)}); copy it again"
        ) from None


def _member(
    file: BinaryIO, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, scratch: Path
) -> Rows:
    where = f"{archive.filename or file.name}, {entry.filename}"
    if entry.header_offset < 0:
        raise zipfile.BadZipFile("a place in it is before its begin")
    stored = entry.compress_type == zipfile.ZIP_STORED
    if not stored:
        require_space(scratch, entry.file_size)
    copy = None if stored else tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115
    with (
        archive.open(entry) as content,
        tqdm(
            total=entry.file_size, desc=entry.filename, unit="B", unit_scale=True, disable=None
        ) as bar,
    ):
        # Read to the end: there zipfile compares the checksum.
        while block := content.read(BLOCK):
            bar.update(len(block))
            if copy:
                copy.write(block)
    if copy:
        copy.flush()
        return Rows(copy, 0, entry.file_size, where)
    file.seek(entry.header_offset + 26)  # here stand the lengths of the name and the extra field
    lengths = np.frombuffer(file.read(4), "<u2")
    start = entry.header_offset + 30 + int(lengths.sum())
    return Rows(file, start, entry.file_size, where)


def require_file(path: Path) -> None:
    """Raise UserError unless there is a file; a folder or a pipe, which may never end, is none."""
    if not path.is_file():
        raise UserError(f"{path} is {'no file' if path.exists() else 'missing'}")


def _no_array(where: str, error: Exception) -> UserError:
    return UserError(f"{where} is not a whole .npy file ({_reason(error)}); copy it again")


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:100]
