"""Read the user's own recordings: raw `.skeleton` files with any name, and arrays of coordinates.

A `.npy` file holds an array (T, M, V, 3) = (frames, bodies, joints, xyz), or (T, V, 3) for one
body. A `.csv` file has one line for each frame, with M·V·3 numbers in the same order; it may begin
with a line of headings. An absent body and a joint without a position are zeros.
"""

import csv
from pathlib import Path

import numpy as np

from common import UserError
from data_gen.clip import is_empty
from data_gen.readers.skeleton_file import (
    SUFFIX,
    SkeletonFileError,
    read_skeleton_file,
)
from feeder.skeletons import KINECT_V2, MAX_METRES, Skeleton

SUFFIXES = (SUFFIX, ".npy", ".csv")
MAX_BYTES, MAX_FRAMES = 128 * 2**20, 20_000
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001}  # {unit: metres}
MAX_BODIES = 16  # bodies in a frame
MAX_SIZE = 10.0  # metres; no body is so long


class ArrayFileError(UserError):
    """A recording cannot be used; the message names the file and the fault."""


def read_bodies(path: Path, skeleton: Skeleton, unit: float = 1.0) -> np.ndarray:
    """Read the bodies of a recording: (T, M, V, 3) float64, metres.

    path: a `.skeleton`, `.npy` or `.csv` file
    skeleton: the skeleton of the bodies, with V joints
    unit: the unit of the coordinates in an array, in metres
    Raises ArrayFileError if the file cannot be read, has other numbers of values than bodies of
    this skeleton, or holds coordinates that no recording of people has.
    """
    readers = dict(zip(SUFFIXES, (_read_raw, _read_npy, _read_csv), strict=True))
    if path.suffix not in readers:
        raise ArrayFileError(f"{path.name}: not a file {', '.join(SUFFIXES)}")
    try:
        if not path.is_file():
            raise ArrayFileError(f"{path} is not there, or is no file")
        if path.stat().st_size > MAX_BYTES:
            raise ArrayFileError(f"{path.name}: over {MAX_BYTES // 2**20} MB, which is no clip")
        bodies = readers[path.suffix](path, skeleton)
    except OSError as error:
        raise ArrayFileError(f"{path.name}: cannot be read: {error.strerror}") from None
    if path.suffix == SUFFIX:
        return bodies
    _check(path.name, bodies * unit)
    return bodies * unit


def _read_raw(path: Path, skeleton: Skeleton) -> np.ndarray:
    if skeleton != KINECT_V2:
        raise ArrayFileError(
            f"{path.name}: a {SUFFIX} file holds {KINECT_V2.num_joints} joints of "
            f"{KINECT_V2.name}, not the skeleton {skeleton.name}"
        )
    try:
        return read_skeleton_file(path)
    except SkeletonFileError as error:
        raise ArrayFileError(str(error)) from None


def _read_npy(path: Path, skeleton: Skeleton) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # a damaged header makes numpy raise errors of any type
        reason = str(error).splitlines() or [type(error).__name__]
        raise ArrayFileError(f"{path.name}: not a whole .npy file ({reason[0][:80]})") from None
    # From a zip file numpy loads something that is no array.
    shape, kind = getattr(array, "shape", ()), getattr(array, "dtype", np.dtype("O")).kind
    joints = skeleton.num_joints
    if not (len(shape) in (3, 4) and shape[-2:] == (joints, 3) and kind in "fiu"):
        raise ArrayFileError(
            f"{path.name}: {array.dtype if shape else 'no array'} {shape}, not numbers (frames, "
            f"bodies, {joints}, 3) or (frames, {joints}, 3) as of the skeleton {skeleton.name}"
        )
    bodies = shape[1] if len(shape) == 4 else 1
    return np.array(array.reshape(len(array), bodies, joints, 3), dtype=np.float64)


def _read_csv(path: Path, skeleton: Skeleton) -> np.ndarray:
    a_body = skeleton.num_joints * 3
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ArrayFileError(f"{path.name}: not a CSV file ({error})") from None
    heading = bool(rows) and not _is_number(rows[0][0] if rows[0] else "")
    frames = []
    for line, row in enumerate(rows[heading:], start=1 + heading):
        if not row:
            continue
        bodies, more = divmod(len(row), a_body)
        if more or not bodies or (frames and len(row) != len(frames[0])):
            raise ArrayFileError(
                f"{path.name}, line {line}: {len(row)} values; a body of the skeleton "
                f"{skeleton.name} has {a_body}, and all frames have as many bodies"
            )
        wrong = [value for value in row if not _is_number(value)]
        if wrong:
            raise ArrayFileError(f"{path.name}, line {line}: {wrong[0][:20]!r} is not a number")
        frames.append([float(value) for value in row])
    bodies = len(frames[0]) // a_body if frames else 1
    return np.array(frames).reshape(len(frames), bodies, skeleton.num_joints, 3)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text


def _check(name: str, bodies: np.ndarray) -> None:
    # Raise ArrayFileError for numbers of frames or bodies, or coordinates, that people do not have.
    if not 1 <= len(bodies) <= MAX_FRAMES:
        raise ArrayFileError(f"{name}: {len(bodies)} frames are not 1 to {MAX_FRAMES}")
    if bodies.shape[1] > MAX_BODIES:
        raise ArrayFileError(f"{name}: {bodies.shape[1]} bodies are more than {MAX_BODIES}")
    wrong = ~(np.abs(bodies) <= MAX_METRES).all((1, 2, 3))  # NaN included
    if wrong.any():
        raise ArrayFileError(
            f"{name}, frame {1 + np.argmax(wrong)}: a coordinate is not within {MAX_METRES:.0f} m; "
            "a joint without a position is 0 0 0, and --unit tells millimetres"
        )
    lacking = is_empty(bodies, -1)[..., None]  # (T, M, V, 1)
    low, high = (np.where(lacking, far, bodies) for far in (np.inf, -np.inf))
    size = (high.max(2, initial=-np.inf) - low.min(2, initial=np.inf)).max(-1)  # (T, M)
    if (size > MAX_SIZE).any():
        raise ArrayFileError(
            f"{name}, frame {1 + np.argmax((size > MAX_SIZE).any(1))}: a body of "
            f"{size.max():.0f} m; --unit tells millimetres"
        )
