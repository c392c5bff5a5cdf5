"""Skeletons: joints, bones, the joints by which a clip is centered and aligned, and joint maps.

The built-in skeletons are listed in skeletons.ini; others come from the store.json of a data set or
from a file that --skeleton names.
"""

import configparser
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from common import UserError

MAX_METRES = 1000.0  # a greater coordinate is no position of a person in front of a camera


def require_metres(name: str, bodies: np.ndarray) -> None:
    """Raise UserError with name and frame if a coordinate of (T, ...) is NaN or over MAX_METRES."""
    if not np.abs(bodies).max(initial=0) <= MAX_METRES:  # NaN included
        fine = (np.abs(bodies) <= MAX_METRES).all(tuple(range(1, bodies.ndim)))
        frame = 1 + np.argmin(fine)
        raise UserError(f"{name}, frame {frame}: a coordinate is NaN or over {MAX_METRES:.0f} m")


@dataclass(frozen=True)
class Skeleton:
    """The V joints of one body. Joint numbers count from 0 in the order of `joints`."""

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]  # towards the body's center, which is its own parent
    origin: tuple[int, ...]  # the joints whose mean is moved to zero in each frame
    shoulders: tuple[int, int]  # left and right, whose line is turned onto the x axis

    def __post_init__(self):
        count = len(self.joints)
        if count < 2 or len(set(self.joints)) < count:
            raise UserError("joints: at least two names, each once")
        if len(self.parents) != count:
            raise UserError(f"parents: {len(self.parents)} for {count} joints")
        if not self.origin or len(set(self.shoulders)) != 2:
            raise UserError("origin, shoulders: at least one joint, and a left and a right")
        reached = set(range(count))
        for _ in range(count):  # after `count` steps towards the center every joint is there
            reached = {self.parents[joint] for joint in reached}
        if len(reached) != 1:
            raise UserError("parents: each path leads to the one joint that is its own")

    @property
    def num_joints(self) -> int:
        return len(self.joints)

    @property
    def bones(self) -> list[tuple[int, int]]:
        """The pairs (joint, its parent) of all joints except the center."""
        return [(joint, parent) for joint, parent in enumerate(self.parents) if joint != parent]

    def to_plain(self) -> dict[str, Any]:
        """The skeleton for JSON and checkpoints, with joints by name; --skeleton reads this."""
        plain = {"name": self.name, "joints": list(self.joints)}
        for key in ("parents", "origin", "shoulders"):
            plain[key] = [self.joints[joint] for joint in getattr(self, key)]
        return plain

    @classmethod
    def from_plain(cls, plain: Any) -> "Skeleton":
        keys = ("name", "joints", "parents", "origin", "shoulders")
        if not isinstance(plain, dict) or set(plain) != set(keys):
            raise UserError(f"a skeleton has the keys {', '.join(keys)}, and no other")
        joints, numbers = tuple(plain["joints"]), {}
        for key in keys[2:]:
            if unknown := [joint for joint in plain[key] if joint not in joints]:
                raise UserError(f"{key} names {unknown[0]!r}, which is none of the joints")
            numbers[key] = tuple(joints.index(joint) for joint in plain[key])
        return cls(plain["name"], joints, **numbers)


@dataclass(frozen=True)
class Layout:
    """What a frame holds: M bodies with the same skeleton."""

    skeleton: Skeleton
    bodies: int

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        return self.bodies, self.skeleton.num_joints, 3  # (M, V, C)

    @property
    def frame_size(self) -> int:
        return self.bodies * self.skeleton.num_joints * 3

    def to_plain(self) -> dict[str, Any]:
        return {"skeleton": self.skeleton.to_plain(), "bodies": self.bodies}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "Layout":
        return cls(Skeleton.from_plain(plain["skeleton"]), plain["bodies"])

    def __str__(self) -> str:
        people = "body" if self.bodies == 1 else "bodies"
        return f"{self.bodies} {people} of {self.skeleton.num_joints} joints ({self.skeleton.name})"


_INI = configparser.ConfigParser(delimiters="=")
_INI.read(Path(__file__).with_suffix(".ini"), encoding="utf-8")
_SAME_PLACE = [[joint, *others.split(", ")] for joint, others in _INI["same place"].items()]
_INI.remove_section("same place")


def _read_built_in() -> dict[str, Skeleton]:
    skeletons = {}
    for key in _INI.sections():
        parents = dict(_INI[key])
        name, origin = parents.pop("name"), parents.pop("origin").split(", ")
        plain = {"name": name, "joints": list(parents), "parents": list(parents.values())}
        plain |= {"origin": origin, "shoulders": ["left shoulder", "right shoulder"]}
        skeletons[key] = Skeleton.from_plain(plain)
    return skeletons


BUILT_IN = _read_built_in()  # kinect_v2, coco_17, ...: all of skeletons.ini
KINECT_V1, KINECT_V2, COCO_17 = map(BUILT_IN.get, ("kinect_v1", "kinect_v2", "coco_17"))
NTU = Layout(KINECT_V2, 2)  # NTU RGB+D and PKU-MMD; also a checkpoint that names no layout


@cache
def joint_map(source: Skeleton, target: Skeleton) -> list[tuple[int, ...]]:
    """For each joint of `target` the joints of `source` whose mean takes its place.

    This is the joint of the same name; else a joint, or the mean of joints, at about the same
    place; else the mean of what its neighbors in `target` are taken from.
    """
    number = {joint: i for i, joint in enumerate(_joint_names(source))}
    found = []
    for joint in _joint_names(target):
        row = next((row for row in _SAME_PLACE if joint in row), [])
        places = (place.split(" + ") for place in (joint, *row))
        place = next((place for place in places if number.keys() >= set(place)), [])
        found.append(tuple(number[joint] for joint in place))
    taken = []
    for joint, sources in enumerate(found):
        neighbors = [a if b == joint else b for a, b in target.bones if joint in (a, b)]
        taken.append(sources or tuple(s for neighbor in neighbors for s in found[neighbor]))
        if not taken[-1]:
            raise UserError(f"{source.name} has no joint for {target.joints[joint]!r}, nor near it")
    return taken


def _joint_names(skeleton: Skeleton) -> list[str]:
    # Human3.6M calls the ankles feet and has no further joint there.
    if any("ankle" in joint for joint in skeleton.joints):
        return list(skeleton.joints)
    return [joint.replace("foot", "ankle") for joint in skeleton.joints]
