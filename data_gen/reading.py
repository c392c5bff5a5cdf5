"""From the numbers in a recording of one's own to bodies: channels, missing joints, units, axes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from common import UserError
from data_gen.clip import map_joints
from data_gen.upright import Recording, follow
from feeder.skeletons import KINECT_V2, MAX_METRES, Layout, Skeleton

AXES = {  # {axes: the rotation to y up}
    "y-up": np.eye(3),
    "y-down": np.diag([1.0, -1.0, -1.0]),
    "z-up": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
}
CHANNELS = {"xyz": 3, "xy": 2, "xyc": 3, "xyzc": 4}  # c is the confidence
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "px": 1.0}  # in metres; px is scaled later
MAX_SIZE = 10.0  # metres; no body is so long
# A third number within 0 and 1 is a confidence if its jumps (second differences) exceed LEAST_JUMP
# and JUMP times those of x and y, or if a body is FLAT times as wide or high as it is deep.
LEAST_JUMP, JUMP, FLAT = 0.02, 5.0, 20.0


@dataclass(frozen=True)
class Reading:
    """How recordings are read. None stands for the default of the format.

    skeleton: of the bodies in the files
    target: the skeleton onto which the joints are mapped by name; None for that of the files
    axes: a key of AXES; by default y-down in JSON files, else y-up
    channels: a key of CHANNELS; by default xyc in JSON files, else xyz, or xyzc for four numbers
    unit: a key of UNITS; by default px in JSON files, else m. px: each recording is scaled
    min_confidence: a joint of less confidence is missing
    fill_gaps: a joint that is missing in at most so many frames is interpolated
    """

    skeleton: Skeleton = KINECT_V2
    target: Skeleton | None = None
    axes: str | None = None
    channels: str | None = None
    unit: str | None = None
    min_confidence: float = 0.1
    fill_gaps: int = 0

    def with_defaults(self, is_json: bool = False) -> "Reading":
        """The reading with the defaults of a format; the channels of an array stay open."""
        defaults = {"axes": "y-down", "channels": "xyc", "unit": "px"}
        defaults = defaults if is_json else {"axes": "y-up", "unit": "m"}
        return replace(self, **{key: getattr(self, key) or defaults[key] for key in defaults})

    def to_plain(self) -> dict[str, Any]:
        """The values for `reading` in store.json; the target is the skeleton of the store."""
        plain = {key: value for key, value in vars(self).items() if key != "target"}
        return plain | {"skeleton": self.skeleton.to_plain()}

    @classmethod
    def of_store(cls, layout: Layout, plain: Mapping[str, Any]) -> "Reading":
        """The reading of a store with this layout and this `reading` in its store.json."""
        own = plain.get("skeleton")
        skeleton = Skeleton.from_plain(own) if own else layout.skeleton
        target = layout.skeleton if skeleton != layout.skeleton else None
        return cls(**{**plain, "skeleton": skeleton, "target": target})


def recording_of(
    name: str,
    values: np.ndarray,
    reading: Reading,
    numbers: np.ndarray | None = None,
    is_tracked: bool = True,
) -> Recording:
    """The recording that an array holds.

    name: of the file, for messages
    values: (T, M, V, C), C numbers as reading.channels says; 0 or NaN where nobody is
    numbers: (T, M) tracking numbers, or -1; None without tracking
    is_tracked: whether people are followed from frame to frame; otherwise a slot is a person
    Raises UserError if the array does not fit `reading` or shows no people.
    """
    reading = reading.with_defaults()
    channels = _channels(name, values, reading)
    bodies = np.zeros((*values.shape[:3], 3))
    places = len(channels.removesuffix("c"))
    bodies[..., :places] = values[..., :places]
    is_sure = values[..., -1] >= reading.min_confidence if "c" in channels else np.True_
    bodies[_missing(bodies, ~is_sure, is_image=reading.unit == "px")] = np.nan
    bodies *= UNITS[reading.unit]
    _check(name, bodies, reading.unit)
    if reading.axes != "y-up":
        bodies = bodies @ AXES[reading.axes].T
    is_there = ~np.isnan(bodies[..., 0]).all(-1)
    people = follow(bodies, numbers) if is_tracked else np.where(is_there, 0, -1)
    if reading.target:
        bodies = map_joints(bodies, reading.skeleton, reading.target)
    return Recording(name, bodies, people, reading.unit != "px", places == 2)


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
        raise UserError(
            f"{name}: the third number of each joint looks like a confidence; --channels xyc takes "
            "it as such, --channels xyz as a coordinate"
        )
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


def _check(name: str, bodies: np.ndarray, unit: str) -> None:
    # Raise UserError for coordinates that people do not have. bodies: (T, M, V, 3), NaN if missing.
    limit, size = (MAX_METRES, MAX_SIZE) if unit != "px" else (1e6, 1e6)
    too_far = (np.abs(bodies) > limit).any((1, 2, 3))
    too_big = (_extent(np.clip(bodies, -limit, limit)) > size).any((1, 2))
    if (wrong := too_far | too_big).any():
        frame = np.argmax(wrong)
        what = f"a coordinate over {limit:.0f}" if too_far[frame] else f"a body over {size:.0f}"
        what += " m" if unit != "px" else " pixels"
        raise UserError(f"{name}, frame {1 + frame}: {what}; --unit is one of {', '.join(UNITS)}")


def _extent(bodies: np.ndarray) -> np.ndarray:
    # The size of bodies (T, M, V, 3) along x, y, z: (T, M, 3); -inf where nobody is.
    high, low = (np.where(np.isnan(bodies), far, bodies) for far in (-np.inf, np.inf))
    return high.max(2) - low.min(2)
