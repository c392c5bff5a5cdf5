"""Read recordings of one's own in every format: one reader for all commands.

NAME.skeleton  a raw file of the Kinect, as in NTU RGB+D, with any name
NAME.npy       an array (T, M, V, C) = (frames, bodies, joints, numbers), or (T, V, C) of one body
NAME.csv       a line for each frame, with M·V·C numbers in the same order, maybe below a heading
NAME.json      Kinetics-skeleton, or frames of OpenPose
FOLDER         OpenPose: one JSON file a frame

C is 3 (x y z), or by --channels 2 (x y), 3 (x y confidence) or 4 (x y z confidence). A joint is
missing if it is 0 0 0 or NaN, or if its confidence is low; a joint that is 0 0 0 in every frame of
its body is the root of root-relative poses.
"""

import argparse
import re
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from common import UserError
from data_gen.clip import (
    AWAY,
    Recording,
    is_there,
    map_joints,
    prepare_clip,
    prepare_upright,
    up_direction,
)
from data_gen.readers import pose_json
from data_gen.readers.skeleton_file import SUFFIX, read_bodies, read_skeleton_file
from data_gen.tracking import follow
from feeder.skeletons import KINECT_V2, MAX_METRES, Layout, Skeleton, require_metres

SUFFIXES = (SUFFIX, ".npy", ".csv", ".json")
AXES = {  # {axes: the rotation to y up}
    "y-up": np.eye(3),
    "y-down": np.diag([1.0, -1.0, -1.0]),
    "z-up": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
}
CHANNELS = {"xyz": 3, "xy": 2, "xyc": 3, "xyzc": 4}  # c is the confidence
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "px": 1.0}  # in metres; px is scaled later
FPS = 30  # frames per second of a Kinect, and of recordings that do not tell
# An axis is wrong if MOST times as many clips say so as say the contrary. A coordinate of the unit
# vector from the hips to the head says so if it is beyond CLEAR.
MOST, CLEAR = 9, 0.5
MAX_BODIES = 16  # in a frame; a longer axis of an array is probably time
MIN_SIZE, MAX_SIZE = 0.1, 10.0  # metres; no body is so small or so long
# A third number within 0 and 1 is a confidence if its jumps (second differences) exceed LEAST_JUMP
# and JUMP times those of x and y, or if a body is FLAT times as wide or high as it is deep.
LEAST_JUMP, JUMP, FLAT = 0.02, 5.0, 20.0


@dataclass(frozen=True)
class Reading:
    """How recordings become clips. None stands for the default of the format."""

    layout: Layout  # bodies and skeleton of the clips; joints of other files are mapped
    skeleton: Skeleton  # of the files
    axes: str | None = None  # of AXES; by default y-down in JSON files, else y-up
    channels: str | None = None  # by default xyc in JSON files, else xyz, or xyzc for four numbers
    unit: str | None = None  # of UNITS; by default px in JSON files, else m
    min_confidence: float = 0.1  # a joint of less confidence is missing
    fill_gaps: int = 0  # joints are interpolated over gaps of at most this many frames
    alignment: str = "upright"  # the rule that turns clips; "kinect" is the published one
    by_energy: bool = True  # of the published rule: sort the bodies; False: as in PKU-MMD

    def with_defaults(self, is_json: bool = False) -> "Reading":
        """The reading with the defaults of a format; the channels of an array stay open."""
        axes, channels, unit = ("y-down", "xyc", "px") if is_json else ("y-up", None, "m")
        channels = self.channels or channels
        return replace(self, axes=self.axes or axes, channels=channels, unit=self.unit or unit)

    def to_plain(self) -> dict[str, Any]:
        """The values for `reading` in store.json, which has layout and alignment beside it."""
        names = ("axes", "channels", "unit", "min_confidence", "fill_gaps")
        return {"skeleton": self.skeleton.to_plain()} | {key: getattr(self, key) for key in names}

    @classmethod
    def of_store(cls, layout: Layout, preparation: Mapping[str, Any]) -> "Reading":
        """The reading of a store with this layout; a checkpoint of older code has no preparation.

        preparation: `alignment` and `reading` as in store.json; maybe also other keys
        """
        plain, alignment = preparation.get("reading", {}), preparation.get("alignment", "kinect")
        own = plain.get("skeleton")
        skeleton = Skeleton.from_plain(own) if own else layout.skeleton
        return cls(layout, **{**plain, "skeleton": skeleton, "alignment": alignment})


def add_flags(parser: argparse.ArgumentParser, title: str) -> None:
    """Add --axes, --channels and --unit, fields of `Reading`, to a group with this title."""
    add = parser.add_argument_group(title).add_argument
    add("--axes", choices=AXES, help="y-down: of images and OpenCV; z-up: of much motion capture")
    add("--channels", choices=CHANNELS, help="numbers of each joint; c is a confidence")
    add("--unit", choices=UNITS, help="px: pixels or fractions of the image (trunk: 0.5 m)")


def prepare(recording: Recording, reading: Reading) -> np.ndarray:
    """The clip (T, M, V, 3) float32 that a store would hold; UserError if it shows nobody."""
    clip = None
    if reading.alignment == "kinect":
        bodies = recording.bodies
        if (bodies == 0).all(-1).any():  # a root at zero is a position, not a missing joint
            bodies = bodies + np.array([0.0, 0.0, AWAY])
        clip = prepare_clip(np.nan_to_num(bodies), reading.layout, reading.by_energy)
    elif prepared := prepare_upright(recording, reading.layout, reading.fill_gaps):
        clip, *_ = prepared
    if clip is None:
        raise UserError(f"{recording.name} shows nobody")
    require_metres(recording.name, clip)
    return clip


def read_recording(path: Path, reading: Reading) -> Recording:
    """Read the bodies of a recording. Raises UserError with the name of the file.

    With the alignment "kinect", as published, bodies stay in their slots; else people are followed.
    """
    numbers, skeleton, max_size = None, reading.skeleton, MAX_SIZE
    is_json, suffix = is_pose_json(path), path.suffix.lower()
    is_raw = suffix == SUFFIX
    if not path.exists():
        raise UserError(f"{path} is not there")
    if is_json or is_raw:
        channels = "xyc" if is_json else "xyz"
        if reading.channels not in (None, channels):
            raise UserError(f"{path.name}: such a file holds {channels}, not {reading.channels}")
        reading = replace(reading, channels=channels)
    if is_json:
        values, numbers = pose_json.read(path, skeleton)
    elif is_raw and skeleton != KINECT_V2:
        joints = f"{KINECT_V2.num_joints} joints of {KINECT_V2.name}"
        raise UserError(f"{path.name}: holds {joints}, not those of {skeleton.name}")
    elif is_raw and reading.alignment == "kinect":
        values = read_skeleton_file(path)
        max_size = np.inf  # what NTU RGB+D holds is no mistake, however far a joint jumps
    elif is_raw:
        values, numbers = read_bodies(path, absent=np.nan)
    elif suffix == ".npy":
        values = _read_npy(path, skeleton)
    elif suffix == ".csv":
        values = _read_csv(path, reading)
    else:
        raise UserError(f"{path.name}: neither a file {', '.join(SUFFIXES)} nor a folder of JSON")
    if not is_json and reading.unit is None and reading.channels in ("xy", "xyc"):
        x_and_y = values[..., :2]
        if not ((x_and_y < 0) | (x_and_y > 1)).any():
            fault = "x and y are within 0 and 1; state --unit px if they are fractions of an image"
            raise UserError(f"{path.name}: {fault}, or --unit m")
    return recording_of(path.name, values, reading.with_defaults(is_json), numbers, max_size)


def read_new(path: Path, reading: Reading) -> Recording:
    """As `read_recording`; a warning on stderr if somebody is upside down, or lies."""
    recording = read_recording(path, reading)
    bodies = recording.bodies.reshape(-1, *recording.bodies.shape[2:])  # (T·M, V, 3)
    try:
        check_axes([up_direction(bodies, reading.layout.skeleton)], None)
    except UserError as error:
        print(f"warning: {path.name}: {error}", file=sys.stderr, flush=True)
    return recording


def is_pose_json(path: Path) -> bool:
    """Whether a recording is JSON of a pose estimator, by its name: pixels and confidences."""
    return path.suffix.lower() == ".json" or path.is_dir()


def _read_npy(path: Path, skeleton: Skeleton) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        fault = "Python objects; save an array of numbers" if "bject" in str(error) else "no array"
        raise UserError(f"{path.name}: holds {fault}") from None
    shape, joints = getattr(array, "shape", ()), skeleton.num_joints  # a zip file has no shape
    fits = len(shape) in (3, 4) and shape[-2] == joints and shape[-1] in CHANNELS.values()
    fits = fits and (len(shape) == 3 or shape[1] <= MAX_BODIES)
    if not (fits and array.dtype.kind in "fiu"):
        wanted = (
            f"numbers (frames, at most {MAX_BODIES} bodies, {joints}, 3) or (frames, {joints}, 3)"
        )
        there = f"{array.dtype} {shape}" if shape else "no array"
        raise UserError(f"{path.name}: {there}, not {wanted} as of the skeleton {skeleton.name}")
    bodies = shape[1] if len(shape) == 4 else 1
    return np.array(array.reshape(len(array), bodies, *shape[-2:]), dtype=np.float64)


def _read_csv(path: Path, reading: Reading) -> np.ndarray:
    try:
        with path.open(encoding="utf-8-sig") as file, warnings.catch_warnings():
            warnings.simplefilter("error")  # there is no line below the heading
            first = file.readline()
            mark = next((mark for mark in ",;\t" if mark in first), None)  # None: spaces
            start = first.replace(mark or " ", " ").strip()
            if not start or re.match(r"[+.-]*([0-9]|nan\b)", start, re.IGNORECASE):  # no heading
                file.seek(0)
            numbers = np.loadtxt(
                file, delimiter=mark, comments=None, ndmin=2,
                converters=lambda cell: float(cell.strip() or "nan"),
            )  # fmt: skip
        if (numbers[0] == np.arange(numbers.shape[1])).all():  # a heading 0, 1, 2 of pandas
            numbers = numbers[1:]
    except (ValueError, UserWarning) as error:  # UnicodeDecodeError included
        raise UserError(f"{path.name}: no numbers: {str(error).partition(';')[0]:.80}") from None
    joints, columns = reading.skeleton.num_joints, numbers.shape[1]
    known = [reading.channels] if reading.channels else ["xyz", "xyzc", "xy"]
    fits = [channels for channels in known if columns % (joints * CHANNELS[channels]) == 0]
    if not fits:
        fault = f"{columns} numbers a line, not those of bodies of {joints} joints"
        raise UserError(f"{path.name}: {fault}, as of the skeleton {reading.skeleton.name}")
    if fits == ["xyzc", "xy"]:
        raise UserError(f"{path.name}: {columns} numbers a line; state --channels xyzc or xy")
    return numbers.reshape(len(numbers), -1, joints, CHANNELS[fits[0]])


def recording_of(
    name: str,
    values: np.ndarray,
    reading: Reading,
    numbers: np.ndarray | None = None,
    max_size: float = MAX_SIZE,
) -> Recording:
    """The recording that an array holds. Raises UserError if it does not fit `reading`.

    values: (T, M, V, C), C numbers as reading.channels says; 0 or NaN where nobody is
    numbers: (T, M) tracking numbers, or -1; None without tracking
    max_size: of a body, in metres
    """
    reading = reading.with_defaults()
    channels, is_image = _channels(name, values, reading), reading.unit == "px"
    bodies = np.zeros((*values.shape[:3], 3))
    places = len(channels.removesuffix("c"))
    bodies[..., :places] = values[..., :places]
    is_sure = values[..., -1] >= reading.min_confidence if "c" in channels else np.True_
    bodies[_missing(bodies, ~is_sure, is_image)] = np.nan
    bodies *= UNITS[reading.unit]
    _check(name, bodies, *((1e6, 1e6, "pixels") if is_image else (MAX_METRES, max_size, "m")))
    if reading.axes != "y-up":
        bodies = bodies @ AXES[reading.axes].T
    if reading.alignment == "upright":
        people = follow(bodies, numbers)
    else:
        people = np.where(is_there(bodies), 0, -1)
    if reading.layout.skeleton != reading.skeleton:
        bodies = map_joints(bodies, reading.skeleton, reading.layout.skeleton)
    return Recording(name, bodies, people, not is_image, places == 2)


def _channels(name: str, values: np.ndarray, reading: Reading) -> str:
    if not len(values):
        raise UserError(f"{name}: no frame")
    count = values.shape[-1]
    channels = reading.channels or ("xyzc" if count == 4 else "xyz")
    if CHANNELS[channels] != count:
        known = ", ".join(CHANNELS)
        raise UserError(f"{name}: {count} numbers for each joint; --channels is one of {known}")
    if reading.unit == "px" and "z" in channels:
        raise UserError(f"{name}: --unit px is for --channels xy or xyc, not for {channels}")
    if not reading.channels and channels == "xyz" and _is_confidence(values):
        fault = "the third number of each joint looks like a confidence"
        raise UserError(f"{name}: {fault}; state --channels xyc, or --channels xyz if it is none")
    return channels


def _is_confidence(values: np.ndarray) -> bool:
    # Whether z, within 0 and 1, jumps from frame to frame as x and y do not, or is flat.
    seen = np.where((values == 0).all(-1, keepdims=True), np.nan, values)
    z = seen[..., 2][~np.isnan(seen[..., 2])]
    if not z.any() or z.min() < 0 or z.max() > 1:
        return False
    bends = np.abs(np.diff(seen, 2, axis=0)).reshape(-1, 3)
    bends = bends[~np.isnan(bends).any(1)]
    x, y, z = np.median(bends, axis=0) if len(bends) else np.zeros(3)
    if z > max(LEAST_JUMP, JUMP * max(x, y)):
        return True
    sizes = _extent(seen).reshape(-1, 3)
    x, y, z = np.median(sizes[sizes[:, 0] >= 0], axis=0)
    return max(x, y) > FLAT * z


def _missing(bodies: np.ndarray, is_unsure: np.ndarray, is_image: bool) -> np.ndarray:
    # Which joints (T, M, V) are missing in bodies (T, M, V, 3).
    unknown = np.isnan(bodies).any(-1) | is_unsure
    zero = (bodies == 0).all(-1) & ~unknown
    there = ~(unknown | zero).all(-1, keepdims=True)  # (T, M, 1), whether there is a body
    # Zero in every frame of its body: a position, if the body is around it and not far away.
    fixed = (zero | unknown | ~there).all(0) & (zero & there).any(0)  # (M, V)
    for slot in np.flatnonzero(fixed.any(1)):
        frames = there[:, slot, 0]
        seen = ~(unknown | zero)[frames, slot][..., None]
        body = np.where(seen, bodies[frames, slot], np.nan)  # (n, V, 3)
        near = np.nanmin(np.linalg.norm(body, axis=-1), axis=1)
        size = np.linalg.norm(_extent(body[:, None]), axis=-1)
        is_corner = is_image and np.nanmin(body) >= 0  # pixels count from the corner of the image
        fixed[slot] &= bool(np.median(near) <= np.median(size)) and not is_corner
    return unknown | (zero & ~fixed) | ~there


def _check(name: str, bodies: np.ndarray, limit: float, size: float, unit: str) -> None:
    units, is_far = ", ".join(UNITS), (np.abs(bodies) > limit).any((1, 2, 3))
    sizes = _extent(np.clip(bodies, -limit, limit)).max((1, 2), initial=0)  # (T,)
    wrong = is_far | (sizes > size)
    if wrong.any():
        frame = np.argmax(wrong)
        what = f"coordinate over {limit:.0f}" if is_far[frame] else f"body over {size:.0f}"
        raise UserError(f"{name}, frame {1 + frame}: a {what} {unit}; --unit is one of {units}")
    if unit == "m" and size < np.inf and 0 < sizes.max() < MIN_SIZE:
        raise UserError(f"{name}: bodies under {MIN_SIZE} m; --unit is one of {units}")


def _extent(bodies: np.ndarray) -> np.ndarray:
    # The size of bodies (T, M, V, 3) along x, y, z: (T, M, 3); -inf where nobody is.
    high, low = (np.where(np.isnan(bodies), far, bodies) for far in (-np.inf, np.inf))
    return high.max(2) - low.min(2)


def check_axes(ups: list[np.ndarray], axes: str | None) -> None:
    """Raise UserError if people stand on their heads; or lie, unless `axes` are stated.

    ups: the direction (3,) from the hips to the head in each clip, NaN if unknown
    """
    ups = np.reshape(ups, (-1, 3))
    _, y, z = ups[~np.isnan(ups).any(1)].T
    if (y < -CLEAR).sum() > MOST * (y > CLEAR).sum():
        raise UserError(f"heads are below hips: state another of --axes {', '.join(AXES)}")
    if axes is None and (z > CLEAR).sum() > MOST * (z <= CLEAR).sum():
        raise UserError("people lie along z: state --axes z-up, or y-up if they do lie")
