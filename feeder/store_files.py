"""Read the files of a store, joints.npy and samples.csv, and check that they are whole."""

import csv
import re
from pathlib import Path

import numpy as np

from feeder.description import FIELDS, Description
from feeder.skeletons import MAX_METRES, Layout

COLUMNS = (*FIELDS, "start", "frames")
CHECKED_FRAMES = 2**14  # frames whose coordinates are checked at once
_HEADER = re.compile(
    r"\{'descr': '<f4', 'fortran_order': False, 'shape': "
    r"\((\d{1,15}), (\d{1,4}), (\d{1,4}), (\d{1,4})\), \} *\n",
    re.ASCII,
)


class Damage(Exception):
    """What is wrong with a file: its path and the fault."""


def map_joints(path: Path, layout: Layout) -> np.memmap:
    """Map joints.npy into memory: (F, M, V, C) float32.

    Raises Damage if the header is not that of a store's array, or does not fit the file's size.
    """
    with path.open("rb") as file:
        start = file.read(10)  # magic, version, length of the header
        header = file.read(int.from_bytes(start[8:], "little")).decode("latin-1")
    if start[:8] != b"\x93NUMPY\x01\x00" or not header.endswith("\n"):
        raise Damage(f"{path}: not a whole .npy file")
    match = _HEADER.fullmatch(header)
    shape = layout.frame_shape
    if not match or tuple(map(int, match.groups()[1:])) != shape:
        expected = ", ".join(map(str, ("F", *shape)))
        raise Damage(f"{path}: expected float32 ({expected}), the header says {header[:80]!r}")
    offset, frames = len(start) + len(header), int(match[1])
    size, announced = path.stat().st_size, offset + frames * 4 * layout.frame_size
    if frames < 1 or size != announced:
        raise Damage(f"{path}: the header announces {announced} bytes, the file has {size}")
    # Copy-on-write: torch wants an array that can be written, though nobody writes to this array.
    return np.memmap(path, np.float32, "c", offset, (frames, *shape))


def read_table(path: Path, text: bytes) -> dict[str, tuple[str, ...]]:
    """{column: its values} of samples.csv.

    path: named in messages
    text: the content of the file
    Raises Damage if the content is not a table of CSV.
    """
    try:
        reader = csv.reader(text.decode().splitlines(), strict=True)
        header = next(reader, [])
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise Damage(f"{path}: not a CSV file ({error})") from None
    if not rows and "name" in header:
        raise Damage(f"{path}: holds no clip")
    for line, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise Damage(f"{path}, line {line}: {len(row)} values, the header has {len(header)}")
    return dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else {}


def read_samples(
    path: Path, table: dict[str, tuple[str, ...]], description: Description
) -> tuple[list[str], dict[str, np.ndarray]]:
    """The names of the clips, and {column: its integers (N,) int64} of all other columns.

    path: named in messages
    table: what `read_table` returned
    description: says which further columns there are
    Raises Damage for a missing column, an empty or repeated name, or a wrong number.
    """
    columns = (*COLUMNS, *description.more_columns)
    missing = [column for column in ("name", *columns) if column not in table]
    if missing:
        raise Damage(f"{path}, line 1: no column {missing[0]!r}")
    first: dict[str, int] = {}
    for line, name in enumerate(table["name"], start=2):
        if not name.strip():
            raise Damage(f"{path}, line {line}: the name is empty")
        if (before := first.setdefault(name, line)) != line:
            raise Damage(f"{path}, line {line}: the name {name[:60]!r} is that of line {before}")
    return list(first), {column: _integers(path, column, table[column]) for column in columns}


def _integers(path: Path, column: str, values: tuple[str, ...]) -> np.ndarray:
    least = 1 if column in COLUMNS and column != "start" else 0
    most = 10**15 if column in COLUMNS else 1
    for line, value in enumerate(values, start=2):
        # Digits only: no sign, no underscore, no number that is too long for an int64.
        digits = value.isascii() and value.isdigit() and len(value) <= 15
        if not (digits and least <= int(value) <= most):
            raise Damage(f"{path}, line {line}: {column} is {value[:20]!r}")
    return np.array(values, dtype=np.int64)


def check_frames(
    folder: Path, names: list[str], columns: dict[str, np.ndarray], frames: int
) -> None:
    """Raise Damage unless the clips lie one after another and fill the frames of joints.npy.

    folder: of the store, named in messages
    names, columns: what `read_samples` returned
    frames: how many frames joints.npy holds
    """
    start = columns["start"]
    end = start + columns["frames"]
    wrong = np.flatnonzero(start != np.concatenate([[0], end[:-1]]))
    if len(wrong):
        name = names[wrong[0]]
        raise Damage(f"{folder / 'samples.csv'}: {name} does not start where the clip before ends")
    if end[-1] != frames:
        raise Damage(f"{folder}: samples.csv counts {end[-1]} frames, joints.npy holds {frames}")


def check_coordinates(path: Path, joints: np.memmap, names: list[str], start: np.ndarray) -> None:
    """Raise Damage if a coordinate in joints.npy is no number of metres within MAX_METRES.

    joints: (F, M, V, C), what `map_joints` returned for the path
    names, start: for each clip its name and its first frame

    Every opening checks all coordinates, since the file may have been damaged after the last check.
    """
    # The file is read in parts. Pages read through the mapping count as memory of this process.
    size = joints[0].size
    with path.open("rb") as file:
        file.seek(joints.offset)
        for first in range(0, len(joints), CHECKED_FRAMES):
            part = np.fromfile(file, "<f4", CHECKED_FRAMES * size)
            if part.min() >= -MAX_METRES and part.max() <= MAX_METRES:  # false for NaN too
                continue
            wrong = np.argmax(~(np.abs(part) <= MAX_METRES)) // size
            row = np.searchsorted(start, first + wrong, side="right") - 1
            raise Damage(
                f"{path}: clip {names[row]} holds a coordinate that is not within "
                f"{MAX_METRES:.0f} m"
            )
