"""From bodies (T, M, V, C), in metres, to the clip of a store.

`prepare_clip` is the published rule. Of the bodies in a raw file (readers/skeleton_file.py: body k
of a frame in slot k, four at most, zero where nobody is) it keeps those with the greatest energy,
fills up those that come late or leave early, moves the main body's origin (NTU: mid spine) to zero
in each frame, and turns the clip by the smallest angle that takes the first shoulder line onto +x.
A body stays upright only in axes like those of a Kinect. `prepare_upright`, for own recordings,
first turns a clip about the vertical: a turn of the room, a shift, or other axes change nothing.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from common import UserError
from feeder.skeletons import NTU, Layout, Skeleton, joint_map, require_metres

AWAY = 16.0  # metres; farther than any body is from another, so no sum of xyz is zero
MOST_MISSING = 0.5  # share of the main body's joints that may be missing
TRUNK = 0.5  # median distance from the hips to the shoulders of a recording without a unit
HEAD_AND_HIPS = Skeleton("head and hips", ("pelvis", "head"), (0, 0), (0,), (0, 1))


def map_joints(bodies: np.ndarray, source: Skeleton, target: Skeleton) -> np.ndarray:
    """Take joints by `joint_map`: (T, M, V, 3) -> (T, M, W, 3); a mean is NaN if a source is."""
    joints = joint_map(source, target)
    if all(len(sources) == 1 for sources in joints):  # five times as fast
        return bodies[:, :, np.concatenate(joints)]
    return np.stack([bodies[:, :, list(sources)].mean(2) for sources in joints], axis=2)


# ---- the published rule


def prepare_clip(
    bodies: np.ndarray, layout: Layout = NTU, by_energy: bool = True
) -> np.ndarray | None:
    """Make a clip as published for NTU RGB+D; None if it has no body.

    bodies: (T, M, V, 3) float64, finite; zero where there is no body
    by_energy: keep the bodies with the greatest energy, the greatest first; else the first ones
    Returns (T, layout.bodies, V, 3) float32 with the main body first.
    """
    present = ~is_empty(bodies, (2, 3))  # (T, M)
    if not present.any():
        return None
    slots = range(bodies.shape[1])
    if by_energy and len(slots) > 1:
        slots = by_descending_energy(bodies, present)
    slots = slots[: layout.bodies]
    kept = np.stack([repair(bodies[:, slot], present[:, slot]) for slot in slots], axis=1)
    clip = np.zeros((len(bodies), *layout.frame_shape), np.float32)
    clip[:, : len(slots)] = align(center(kept, layout.skeleton), layout.skeleton)
    return clip


def is_empty(coordinates: np.ndarray, axes: int | tuple[int, ...]) -> np.ndarray:
    """Where the coordinates sum to zero along the axes: by the published rule nothing is there."""
    return coordinates.sum(axis=axes) == 0


def by_descending_energy(bodies: np.ndarray, present: np.ndarray) -> list[int]:
    """The indices of bodies (T, M, V, 3) along M; present: (T, M), who is in which frames.

    The energy is std of x + std of y + std of z over joints and frames, -1 without any. Of two
    equal energies the greater index comes first.
    """
    energies = [
        body[there].std(axis=(0, 1)).sum() if there.any() else -1
        for body, there in zip(bodies.swapaxes(0, 1), present.T, strict=True)
    ]
    return np.argsort(energies, kind="stable")[::-1].tolist()


def repair(body: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Fill up a body (T, V, 3) that comes late or leaves early; present: (T,), in which frames.

    If the first frame is empty, the frames that are not empty move to the front. Then the frames up
    to the last one that is not empty are repeated. Empty frames in the middle stay unless moved.
    """
    if not present.any():
        return body
    frames = np.flatnonzero(present)
    kept = np.arange(frames[-1] + 1) if present[0] else frames
    return body[np.resize(kept, len(body))]


def center(clip: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Move the main body's origin to zero in each frame of a clip (T, M, V, 3).

    The origin is the mean of the origin joints that have a position; joints without one stay zero.
    """
    joints = clip[:, :1, list(skeleton.origin)]  # (T, 1, K, 3)
    number = (~is_empty(joints, -1)).sum(-1)  # (T, 1)
    origin = joints.sum(2, keepdims=True) / np.maximum(number, 1)[..., None, None]
    return np.where(is_empty(clip, -1)[..., None], clip, clip - origin)


def align(clip: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Rotate a clip (T, M, V, 3): the main body's first shoulder line comes onto the x axis."""
    left, right = clip[0, 0, list(skeleton.shoulders)]
    return (clip.reshape(-1, 3) @ rotation_to_x(right - left).T).reshape(clip.shape)


def rotation_to_x(line: np.ndarray) -> np.ndarray:
    """The rotation matrix (3, 3) that turns `line` (3,) to the x axis by the smallest angle.

    Rodrigues' formula. The identity if the line is almost zero or almost along +x or -x.
    """
    axis = np.array([0.0, line[2], -line[1]])  # line × x
    length, sine = np.linalg.norm(line), np.linalg.norm(axis)
    angle = np.arctan2(sine, line[0])
    if np.abs(line).sum() < 1e-6 or np.abs(axis).sum() < 1e-6 or angle < 1e-6:
        return np.eye(3)
    (_, y, z), cos, sin = axis / sine, line[0] / length, sine / length
    cross = np.array([[0, -z, y], [z, 0, 0], [-y, 0, 0]])
    return np.eye(3) + sin * cross + (1 - cos) * cross @ cross


# ---- the rule for own recordings


class Recording(NamedTuple):
    """What a file shows."""

    name: str  # of the file, for messages
    bodies: np.ndarray  # (T, M, V, 3) float64, metres, y up; NaN where a joint is missing
    people: np.ndarray  # (T, M) int64, which person is in which slot; -1 for nobody
    has_unit: bool = True  # coordinates are metres; otherwise they are scaled by the main body
    is_flat: bool = False  # z is 0, since only x and y were recorded

    def part(self, start: int, end: int) -> "Recording":
        """The frames from `start` to before `end`."""
        return self._replace(bodies=self.bodies[start:end], people=self.people[start:end])


def prepare_upright(
    recording: Recording, layout: Layout, fill_gaps: int = 0
) -> tuple[np.ndarray, np.ndarray, list[str]] | None:
    """Make a clip of the people with the greatest energy; None if the recording shows nobody.

    fill_gaps: interpolate each joint over gaps of at most this many frames
    Returns the clip (T, M, V, 3) float32, zero where nothing is; the mean direction (3,) from hips
    to head in the recording's axes, or NaN; what was bridged. Raises UserError if the main body has
    too few joints, or no frame with its origin or with both shoulders.
    """
    name, skeleton, notes = recording.name, layout.skeleton, []
    if not (people := _people(recording)[: layout.bodies]):
        return None
    missing = np.isnan(people[0][is_there(people[0]), :, 0]).mean()
    if missing > MOST_MISSING:
        raise UserError(f"{name}: {missing:.0%} of the main body's joints are missing")
    if fill_gaps:
        people = [_filled(body, fill_gaps) for body in people]
    bodies = np.stack([repair(body, is_there(body)) for body in people], axis=1)  # (T, M, V, 3)
    main = bodies[:, 0]
    up = up_direction(main, skeleton)
    origin = main[:, skeleton.origin]  # (T, K, 3)
    origin = mean_of_known(origin) if np.isnan(origin).any((1, 2)).all() else origin.mean(1)
    lines = main[:, skeleton.shoulders[1]] - main[:, skeleton.shoulders[0]]  # (T, 3)
    known, both = (np.flatnonzero(~np.isnan(path[:, 0])) for path in (origin, lines))
    if not len(known) or not len(both):
        joints = skeleton.shoulders if len(known) else skeleton.origin
        names = " and ".join(skeleton.joints[joint] for joint in joints)
        raise UserError(f"{name}: no frame shows {names}")
    there = np.flatnonzero(is_there(main))
    if np.setdiff1d(there, known).size:
        notes.append("origin bridged")
    if both[0] != there[0]:
        notes.append("shoulders of a later frame")
    bodies -= bridged(origin, known)[:, None, None]
    bodies = bodies @ upright_rotation(lines[both[0]], recording.is_flat).T
    if not recording.has_unit:
        bodies *= metres_per_unit(name, bodies[:, 0], skeleton)
    clip = np.zeros((len(bodies), *layout.frame_shape), np.float32)
    clip[:, : len(people)] = np.nan_to_num(bodies)
    require_metres(name, clip)
    return clip, up, notes


def bridged(path: np.ndarray, known: np.ndarray) -> np.ndarray:
    """A path (T, 3), interpolated between its known frames (indices) and held before and after."""
    frames = range(len(path))
    return np.stack([np.interp(frames, known, axis[known]) for axis in path.T], axis=1)


def upright_rotation(line: np.ndarray, is_flat: bool = False) -> np.ndarray:
    """The turn about y that takes a shoulder line's horizontal part to +x, then `rotation_to_x`.

    Flat recordings are only turned: seen from the side, the slope of the line means nothing.
    """
    x, y, z = line
    level = np.hypot(x, z)
    cos, sin = (x / level, z / level) if level > 1e-6 else (1.0, 0.0)
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    return turn if is_flat else rotation_to_x(np.array([level, y, 0.0])) @ turn


def _people(recording: Recording) -> list[np.ndarray]:
    # The body (T, V, 3) of each person, NaN where the person is not. The greatest energy comes
    # first, as in `by_descending_energy`, but it is the same in all axes.
    bodies, people = recording.bodies, recording.people
    found = []
    for person in np.unique(people[people >= 0]):
        body = np.full_like(bodies[:, 0], np.nan)
        at = np.nonzero(people == person)
        body[at[0]] = bodies[at]
        found.append(body)
    return sorted(found, key=lambda body: -np.nanvar(body, axis=(0, 1)).sum())


def is_there(bodies: np.ndarray) -> np.ndarray:
    """In which frames a body is: (T, ..., V, 3) -> (T, ...)."""
    return ~np.isnan(bodies[..., 0]).all(-1)


def mean_of_known(values: np.ndarray, axis: int = 1) -> np.ndarray:
    """The mean of what is known; NaN, without a warning, where nothing is."""
    number = (~np.isnan(values)).sum(axis)
    return np.where(number, np.nansum(values, axis) / np.maximum(number, 1), np.nan)


def _filled(body: np.ndarray, most: int) -> np.ndarray:
    # (T, V, 3) with each joint interpolated over gaps of at most so many frames.
    body = body.copy()
    for path in body.transpose(1, 0, 2):  # (T, 3), views
        for before, after in pairwise(np.flatnonzero(~np.isnan(path[:, 0]))):
            if 1 < after - before <= most + 1:
                part = np.linspace(0, 1, after - before, endpoint=False)[:, None]
                path[before:after] = (1 - part) * path[before] + part * path[after]
    return body


def metres_per_unit(name: str, body: np.ndarray, skeleton: Skeleton) -> float:
    # The factor by which the median distance from the hips to the shoulders becomes TRUNK.
    hips, _ = joint_map(skeleton, HEAD_AND_HIPS)
    trunk = body[:, hips].mean(1) - body[:, skeleton.shoulders].mean(1)
    lengths = np.linalg.norm(trunk, axis=-1)
    if not np.nansum(lengths):
        names = " and ".join(skeleton.joints[joint] for joint in (*hips, *skeleton.shoulders))
        raise UserError(f"{name}: no frame shows {names}, by which --unit px is scaled")
    return TRUNK / float(np.nanmedian(lengths))


def up_direction(body: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    try:
        hips, head = joint_map(skeleton, HEAD_AND_HIPS)
    except UserError:  # a skeleton that has neither
        return np.full(3, np.nan)
    up = mean_of_known(body[:, head].mean(1) - body[:, hips].mean(1), axis=0)
    return up / max(float(np.linalg.norm(up)), 1e-9)
