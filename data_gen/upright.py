"""From a recording of one's own to a clip: as in `clip`, for any axes and with missing joints.

The published rule (`clip`) turns the shoulder line onto +x by the smallest rotation, which keeps a
body upright only if the line points roughly there, as in the axes of a Kinect. Here the clip is
first turned about the vertical. So a turn of the room, a shift, or other axes change nothing.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from common import UserError
from data_gen.clip import repair, require_metres, rotation_to_x
from feeder.skeletons import Layout, Skeleton, joint_map

MOST_MISSING = 0.5  # share of the main body's joints that may be missing
TRUNK = 0.5  # median distance from the hips to the shoulders of a recording without a unit
REACH = 0.5  # of a body's size: from one frame to the next nobody goes farther
MEMORY = 300  # frames after which a person who left is not the same person any more
HEAD_AND_HIPS = Skeleton("head and hips", ("pelvis", "head"), (0, 0), (0,), (0, 1))


class Recording(NamedTuple):
    """What a file shows.

    name: of the file, for messages
    bodies: (T, M, V, 3) float64, metres, y up; NaN where a joint is missing
    people: (T, M) int64, which person is in which slot in each frame; -1 for nobody
    has_unit: whether the coordinates are metres; otherwise they are scaled by the main body
    is_flat: whether z is 0, since only x and y were recorded
    """

    name: str
    bodies: np.ndarray
    people: np.ndarray
    has_unit: bool = True
    is_flat: bool = False

    def part(self, start: int, end: int) -> "Recording":
        """The frames from `start` to before `end`."""
        return self._replace(bodies=self.bodies[start:end], people=self.people[start:end])


class Prepared(NamedTuple):
    """A clip of a recording.

    clip: (T, M, V, 3) float32, metres; zeros where there is no body or no joint
    up: (3,) the mean direction from the hips to the head in the recording's axes; NaN if unknown
    notes: what was bridged
    """

    clip: np.ndarray
    up: np.ndarray
    notes: list[str]


def prepare_upright(recording: Recording, layout: Layout, fill_gaps: int = 0) -> Prepared | None:
    """Make the clip that a store of own recordings holds; None if it shows nobody.

    layout: how many people to keep, and their skeleton; those with the greatest energy are kept
    fill_gaps: interpolate a joint that is missing in at most so many frames
    Raises UserError if the main body has too few joints, or no frame with its origin or with both
    shoulders.
    """
    name, skeleton, notes = recording.name, layout.skeleton, []
    people = _people(recording)[: layout.bodies]
    if not people:
        return None
    missing = np.isnan(people[0][_present(people[0]), :, 0]).mean()
    if missing > MOST_MISSING:
        raise UserError(f"{name}: {missing:.0%} of the main body's joints are missing")
    people = [_filled(body, fill_gaps) for body in people]
    bodies = np.stack([repair(body, _present(body)) for body in people], axis=1)  # (T, M, V, 3)
    main = bodies[:, 0]
    origin = main[:, skeleton.origin]  # (T, K, 3)
    origin = _mean(origin) if np.isnan(origin).any((1, 2)).all() else origin.mean(1)
    known = np.flatnonzero(~np.isnan(origin[:, 0]))
    lines = main[:, skeleton.shoulders[1]] - main[:, skeleton.shoulders[0]]  # (T, 3)
    both = np.flatnonzero(~np.isnan(lines[:, 0]))
    for joints, frames in ((skeleton.origin, known), (skeleton.shoulders, both)):
        if not len(frames):
            raise UserError(f"{name}: no frame shows {_names(skeleton, joints)}")
    if not set(np.flatnonzero(_present(main))) <= set(known):
        notes.append("origin bridged")
    if both[0] != np.argmax(_present(main)):
        notes.append("shoulders of a later frame")
    frames = range(len(main))
    origin = np.stack([np.interp(frames, known, axis[known]) for axis in origin.T], axis=1)
    bodies = (bodies - origin[:, None, None]) @ upright_rotation(
        lines[both[0]], recording.is_flat
    ).T
    if not recording.has_unit:
        bodies *= _scale(name, bodies[:, 0], skeleton)
    clip = np.zeros((len(bodies), *layout.frame_shape), np.float32)
    clip[:, : len(people)] = np.nan_to_num(bodies)
    require_metres(name, clip)
    return Prepared(clip, _up(main, skeleton), notes)


def upright_rotation(line: np.ndarray, is_flat: bool = False) -> np.ndarray:
    """The rotation matrix (3, 3) that takes a shoulder line (3,) to the x axis.

    First the turn about y that takes the line's horizontal part to +x, then the smallest rotation.
    Flat recordings are only turned: seen from the side, the slope of their line means nothing.
    """
    x, y, z = line
    level = np.hypot(x, z)
    cos, sin = (x / level, z / level) if level > 1e-6 else (1.0, 0.0)
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    return turn if is_flat else rotation_to_x(np.array([level, y, 0.0])) @ turn


def follow(bodies: np.ndarray, numbers: np.ndarray | None = None) -> np.ndarray:
    """Who is who: (T, M) the person in each slot of each frame, from 0; -1 for nobody.

    bodies: (T, M, V, 3), NaN where a joint is missing
    numbers: (T, M) tracking numbers, or -1; None without tracking

    A body is the person of its tracking number. Others are matched to the people who are free so
    that the sum of distances is smallest; who is too far from all of them is somebody new.
    """
    present = ~np.isnan(bodies[..., 0]).all(-1)  # (T, M)
    people = np.where(present, 0, -1)
    if bodies.shape[1] == 1 and numbers is None:
        return people
    seen: dict[int, tuple[int, int]] = {}  # for each person the last frame and slot
    by_number: dict[int, int] = {}
    for t, frame in enumerate(bodies):
        slots, found = np.flatnonzero(present[t]).tolist(), {}  # found: {slot: person}
        for slot in slots if numbers is not None else ():
            person = by_number.get(int(numbers[t, slot]))
            if person is not None and person not in found.values():
                found[slot] = person
        lost = [slot for slot in slots if slot not in found]
        free = [person for person, (last, _) in seen.items() if t - last <= MEMORY]
        free = [person for person in free if person not in found.values()]
        if lost and free:
            poses = np.stack([bodies[seen[person]] for person in free])
            pairs = _nearest(frame[lost], poses)
            found |= {lost[body]: free[pose] for body, pose in pairs}
        for slot in slots:
            person = people[t, slot] = found.get(slot, len(seen))
            seen[person] = t, slot
            if numbers is not None and numbers[t, slot] >= 0:
                by_number[int(numbers[t, slot])] = person
    return people


def _nearest(bodies: np.ndarray, poses: np.ndarray) -> list[tuple[int, int]]:
    # The pairs (body, pose) that are next to each other, of (n, V, 3) and (k, V, 3).
    away = _mean(np.linalg.norm(bodies[:, None] - poses, axis=-1), axis=-1)  # (n, k)
    reach = REACH * np.linalg.norm(np.nanmax(bodies, 1) - np.nanmin(bodies, 1), axis=-1)
    away = np.nan_to_num(away / np.maximum(reach, 1e-9)[:, None], nan=np.inf)
    rows, columns = linear_sum_assignment(np.minimum(away, 1e6))
    return [(r, c) for r, c in zip(rows, columns, strict=True) if away[r, c] <= 1]


def _people(recording: Recording) -> list[np.ndarray]:
    # The body (T, V, 3) of each person, NaN where the person is not; the greatest energy first,
    # which is as in `choose_slots`, but the same in all axes.
    found = []
    for person in np.unique(recording.people[recording.people >= 0]):
        body = np.full((len(recording.bodies), *recording.bodies.shape[2:]), np.nan)
        at = np.nonzero(recording.people == person)
        body[at[0]] = recording.bodies[at]
        found.append(body)
    return sorted(found, key=lambda body: -np.nanvar(body, axis=(0, 1)).sum())


def _present(body: np.ndarray) -> np.ndarray:
    return ~np.isnan(body[..., 0]).all(-1)


def _mean(values: np.ndarray, axis: int = 1) -> np.ndarray:
    # The mean of what is there; NaN, without a warning, where there is nothing.
    number = (~np.isnan(values)).sum(axis)
    return np.where(number, np.nansum(values, axis) / np.maximum(number, 1), np.nan)


def _filled(body: np.ndarray, most: int) -> np.ndarray:
    # (T, V, 3) with each joint interpolated over gaps of at most so many frames.
    body = body.copy()
    for joint in np.flatnonzero(np.isnan(body[..., 0]).any(0)) if most else ():
        known = np.flatnonzero(~np.isnan(body[:, joint, 0]))
        for before, after in pairwise(known):
            if 1 < after - before <= most + 1:
                part = np.linspace(0, 1, after - before, endpoint=False)[:, None]
                ends = body[before, joint], body[after, joint]
                body[before:after, joint] = (1 - part) * ends[0] + part * ends[1]
    return body


def _scale(name: str, body: np.ndarray, skeleton: Skeleton) -> float:
    # The factor by which the median distance from the hips to the shoulders becomes TRUNK.
    hips, _ = joint_map(skeleton, HEAD_AND_HIPS)
    trunk = body[:, list(hips)].mean(1) - body[:, list(skeleton.shoulders)].mean(1)
    lengths = np.linalg.norm(trunk, axis=-1)
    if not np.nansum(lengths):
        joints = _names(skeleton, (*hips, *skeleton.shoulders))
        raise UserError(f"{name}: no frame shows {joints}, by which --unit px is scaled")
    return TRUNK / float(np.nanmedian(lengths))


def _up(body: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    try:
        hips, head = joint_map(skeleton, HEAD_AND_HIPS)
    except UserError:  # a skeleton that has neither
        return np.full(3, np.nan)
    up = _mean(body[:, list(head)].mean(1) - body[:, list(hips)].mean(1), axis=0)
    return up / max(float(np.linalg.norm(up)), 1e-9)


def _names(skeleton: Skeleton, joints: tuple[int, ...]) -> str:
    return " and ".join(skeleton.joints[joint] for joint in joints)
