"""Read recordings of one's own in every format: one reader for all commands.

NAME.skeleton  a raw file of the Kinect, as in NTU RGB+D, with any name
NAME.npy       an array (T, M, V, C) = (frames, bodies, joints, numbers), or (T, V, C) of one body
NAME.csv       a line for each frame, with M·V·C numbers in the same order, maybe below a heading
NAME.json      Kinetics-skeleton, or frames of OpenPose
FOLDER         OpenPose: one JSON file a frame

C is 3 (x y z), or by --channels 2 (x y), 3 (x y confidence) or 4 (x y z confidence). A joint is
missing if it is 0 0 0 or NaN, or if its confidence is low. But a joint that is 0 0 0 in every frame
of its body is a position: the root of root-relative poses.
"""

import os
import re
import warnings
from pathlib import Path

import numpy as np

from common import UserError
from data_gen.clip import prepare_clip, require_metres
from data_gen.readers import pose_json
from data_gen.readers.skeleton_file import SUFFIX, read_raw_bodies, read_skeleton_file
from data_gen.reading import CHANNELS, Reading, recording_of
from data_gen.upright import Recording, prepare_upright
from feeder.skeletons import KINECT_V2, Layout, Skeleton

SUFFIXES = (SUFFIX, ".npy", ".csv", ".json")
TABLE_COLUMNS = {"file", "recording"}  # a CSV file with one of them is no recording


def read_clip(
    path: Path, layout: Layout, alignment: str = "kinect", reading: Reading | None = None
) -> np.ndarray:
    """Read a recording and make the clip that a store would hold: (T, M, V, 3) float32, metres.

    layout, alignment: those of the store (`description.layout`, `description.alignment`)
    reading: `Reading.of_store(description.layout, description.reading)`; by default no options
    Raises UserError with the name of the file if it cannot be used or shows nobody.
    """
    reading = reading or Reading.of_store(layout, {})
    recording = read_recording(path, reading, alignment)
    clip = prepare(recording, layout, alignment, reading.fill_gaps)
    if clip is None:
        raise UserError(f"{path} shows nobody")
    return clip


def prepare(
    recording: Recording, layout: Layout, alignment: str = "kinect", fill_gaps: int = 0
) -> np.ndarray | None:
    """The clip (T, M, V, 3) float32 of a recording or a part of it; None if it shows nobody."""
    if alignment == "upright":
        prepared = prepare_upright(recording, layout, fill_gaps)
        return None if prepared is None else prepared.clip
    clip = prepare_clip(np.nan_to_num(recording.bodies), layout)
    if clip is not None:
        require_metres(recording.name, clip)
    return clip


def read_recording(path: Path, reading: Reading, alignment: str = "upright") -> Recording:
    """Read the bodies of a recording.

    alignment: with "kinect" the bodies of an array or a raw file are taken as they stand, as
        published; otherwise each person is followed from frame to frame
    Raises UserError with the name of the file if it cannot be read, does not fit the skeleton, or
    holds coordinates that no recording of people has.
    """
    numbers, skeleton = None, reading.skeleton
    if not path.exists():
        raise UserError(f"{path} is not there")
    fixed = "xyc" if is_pose_json(path) else "xyz" if path.suffix == SUFFIX else None
    if fixed and reading.channels not in (None, fixed):
        raise UserError(f"{path.name}: such a file holds {fixed}, not {reading.channels}")
    if is_pose_json(path):
        values, numbers = pose_json.read(path, skeleton)
    elif path.suffix == SUFFIX and skeleton != KINECT_V2:
        raise UserError(
            f"{path.name}: a {SUFFIX} file holds the 25 joints of {KINECT_V2.name}, not "
            f"{skeleton.num_joints} joints ({skeleton.name})"
        )
    elif path.suffix == SUFFIX and alignment == "kinect":
        values = read_skeleton_file(path)
    elif path.suffix == SUFFIX:
        values, numbers = _read_raw(path)
    elif path.suffix == ".npy":
        values = _read_npy(path, skeleton)
    elif path.suffix == ".csv":
        values = _read_csv(path, reading)
    else:
        raise UserError(f"{path.name}: neither a file {', '.join(SUFFIXES)} nor a folder of JSON")
    reading = reading.with_defaults(is_pose_json(path))
    return recording_of(path.name, values, reading, numbers, alignment == "upright")


def is_pose_json(path: Path) -> bool:
    """Whether a recording is JSON of a pose estimator, by its name: pixels and confidences."""
    return path.suffix == ".json" or path.is_dir()


def find_recordings(folder: Path) -> list[Path]:
    """The recordings at any depth below a folder, sorted: files of all formats, and folders with
    one JSON file a frame. Hidden files, tables and other JSON files are none."""
    found: list[Path] = []
    for place, inside, names in os.walk(folder, followlinks=True):
        inside[:] = [name for name in inside if not name.startswith(".")]
        frames = pose_json.frame_files(Path(place))
        paths = (Path(place, name) for name in names if not name.startswith("."))
        found += [p for p in paths if p.suffix in SUFFIXES and p not in frames and _may_be(p)]
        found += [Path(place)] * bool(frames)
    return sorted(found)


def _may_be(path: Path) -> bool:
    # Whether a file with a suffix of recordings is one.
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            return not TABLE_COLUMNS & set(file.readline().strip().replace(";", ",").split(","))
    return path.suffix != ".json" or pose_json.is_pose_file(path, b'"people"', b'"data"')


def _read_raw(path: Path) -> tuple[np.ndarray, np.ndarray]:
    # Bodies (T, M, 25, 3), NaN where nobody is, and tracking numbers (T, M).
    frames, (frame, slot), names, joints = read_raw_bodies(path)
    shape = frames, slot.max(initial=-1) + 1
    values, numbers = np.full((*shape, *joints.shape[1:]), np.nan), np.full(shape, -1)
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    values[frame, slot], numbers[frame, slot] = joints, [number[name] for name in names]
    return values, numbers


def _read_npy(path: Path, skeleton: Skeleton) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        fault = "Python objects; save an array of numbers" if "bject" in str(error) else "no array"
        raise UserError(f"{path.name}: holds {fault}") from None
    shape = getattr(array, "shape", ())  # a zip file has none
    joints = skeleton.num_joints
    fits = len(shape) in (3, 4) and shape[-2] == joints and shape[-1] in CHANNELS.values()
    if not (fits and array.dtype.kind in "fiu"):
        raise UserError(
            f"{path.name}: {array.dtype if shape else 'no array'} {shape}, not numbers (frames, "
            f"bodies, {joints}, 3) or (frames, {joints}, 3) as of the skeleton {skeleton.name}"
        )
    bodies = shape[1] if len(shape) == 4 else 1
    return np.array(array.reshape(len(array), bodies, *shape[-2:]), dtype=np.float64)


def _read_csv(path: Path, reading: Reading) -> np.ndarray:
    try:
        with path.open(encoding="utf-8-sig") as file, warnings.catch_warnings():
            warnings.simplefilter("error")  # there is no line below the heading
            first = file.readline()
            mark = next((mark for mark in ",;\t" if mark in first), None)  # None: spaces
            if re.match(r"[\s+-.]*([0-9]|nan\b)", first, re.IGNORECASE):  # no heading
                file.seek(0)
            numbers = np.loadtxt(
                file, delimiter=mark, comments=None, ndmin=2,
                converters=lambda cell: float(cell.strip() or "nan"),
            )  # fmt: skip
    except (ValueError, UserWarning) as error:  # UnicodeDecodeError included
        raise UserError(f"{path.name}: no numbers: {str(error).partition(';')[0]:.80}") from None
    joints, columns = reading.skeleton.num_joints, numbers.shape[1]
    for channels in [reading.channels] if reading.channels else ["xyz", "xy", "xyzc"]:
        bodies, rest = divmod(columns, joints * CHANNELS[channels])
        if bodies and not rest:
            return numbers.reshape(len(numbers), bodies, joints, CHANNELS[channels])
    raise UserError(
        f"{path.name}: {columns} numbers a line, not those of bodies of {joints} joints as of the "
        f"skeleton {reading.skeleton.name}"
    )
