"""Skeletons: the joints of a body, its bones, and the joints by which a clip is moved and turned.

Each skeleton is defined once, here or in the store.json of a data set. All other code reads it.
"""

from dataclasses import dataclass, field, fields
from math import prod
from typing import Any

MOST_JOINTS = 256  # joints in a skeleton that a file describes
MAX_METRES = 1000.0  # a greater coordinate is no position of a person in front of a camera


class DescriptionError(ValueError):
    """The description of a skeleton or a data set is wrong; the message names the field."""


@dataclass(frozen=True)
class Skeleton:
    """The V joints of one body. Numbers of joints count from 0 in the order of `joints`.

    joints: the names of the V joints
    parents: for each joint its neighbor towards the body's center; the center is its own parent
    origin: the joints whose mean is moved to zero in each frame; usually the middle of the spine
    shoulders: the left and the right shoulder, whose line is turned onto the x axis
    center: the number of the center joint, found from `parents`
    Raises DescriptionError if the values do not fit together.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    origin: tuple[int, ...]
    shoulders: tuple[int, int]
    center: int = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.joints)
        check(0 < len(self.name) <= 100, "name", "is not 1 to 100 characters")
        check(1 < count <= MOST_JOINTS, "joints", f"are not 2 to {MOST_JOINTS} names")
        check(all(self.joints), "joints", "holds an empty name")
        texts = (self.name, *self.joints)
        check(all(text.isprintable() for text in texts), "joints", "holds what cannot be printed")
        check(len(set(self.joints)) == count, "joints", "holds a name twice")
        check(len(self.parents) == count, "parents", f"are {len(self.parents)}, not {count}")
        check(len(self.origin) > 0, "origin", "names no joint")
        check(len(self.shoulders) == 2, "shoulders", "are not two joints, left and right")
        for name in ("parents", "origin", "shoulders"):
            inside = all(0 <= joint < count for joint in getattr(self, name))
            check(inside, name, f"is no joint from 0 to {count - 1}")
        for name in ("origin", "shoulders"):
            joints = getattr(self, name)
            check(len(set(joints)) == len(joints), name, "names a joint twice")
        roots = [joint for joint, parent in enumerate(self.parents) if joint == parent]
        check(len(roots) == 1, "parents", f"have {len(roots)} centers (a joint that is its own)")
        object.__setattr__(self, "center", roots[0])
        reached = set(range(count))
        for _ in range(count):  # after `count` steps to the parent every joint is at the center
            reached = {self.parents[joint] for joint in reached}
        check(reached == set(roots), "parents", "go round in a circle")

    @property
    def num_joints(self) -> int:
        """V, the number of joints of a body."""
        return len(self.joints)

    @property
    def bones(self) -> list[tuple[int, int]]:
        """The pairs (joint, its parent) of all joints except the center."""
        return [(j, parent) for j, parent in enumerate(self.parents) if j != parent]

    def to_plain(self) -> dict[str, Any]:
        """The skeleton as values for JSON and checkpoints; joints are given by their names."""

        def named(joints: tuple[int, ...]) -> list[str]:
            return [self.joints[joint] for joint in joints]

        return {
            "name": self.name,
            "joints": list(self.joints),
            "parents": named(self.parents),
            "origin": named(self.origin),
            "shoulders": named(self.shoulders),
        }

    @classmethod
    def from_plain(cls, plain: Any) -> "Skeleton":
        """The skeleton that `to_plain` described. Raises DescriptionError with the wrong field."""
        keys = [f.name for f in fields(cls) if f.init]
        check_keys(plain, keys, "skeleton")
        check(isinstance(plain["name"], str), "name", "is no text")
        for key in keys[1:]:
            words = isinstance(plain[key], list) and all(isinstance(w, str) for w in plain[key])
            check(words, key, "is no list of names")
        number = {joint: i for i, joint in enumerate(plain["joints"])}
        for key in keys[2:]:
            unknown = [joint for joint in plain[key] if joint not in number]
            check(not unknown, key, f"names {unknown[:1]}, which is none of the joints")
        numbers = {key: tuple(number[joint] for joint in plain[key]) for key in keys[2:]}
        return cls(plain["name"], tuple(plain["joints"]), **numbers)


@dataclass(frozen=True)
class Layout:
    """What a frame holds: 1 to 16 bodies with the same skeleton. Else raises DescriptionError."""

    skeleton: Skeleton
    bodies: int

    def __post_init__(self) -> None:
        whole = type(self.bodies) is int and 1 <= self.bodies <= 16
        check(whole, "bodies", "is no whole number from 1 to 16")

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """(M, V, C) = bodies, joints, xyz."""
        return self.bodies, self.skeleton.num_joints, 3

    @property
    def frame_size(self) -> int:
        """How many numbers a frame holds, M·V·C."""
        return prod(self.frame_shape)

    def to_plain(self) -> dict[str, Any]:
        """The layout as values for JSON and checkpoints."""
        return {"skeleton": self.skeleton.to_plain(), "bodies": self.bodies}

    @classmethod
    def from_plain(cls, plain: Any) -> "Layout":
        """The layout that `to_plain` described. Raises DescriptionError with the wrong field."""
        check_keys(plain, ["skeleton", "bodies"], "layout")
        return cls(Skeleton.from_plain(plain["skeleton"]), plain["bodies"])

    def __str__(self) -> str:
        people = "body" if self.bodies == 1 else "bodies"
        joints = self.skeleton.num_joints
        return f"{self.bodies} {people} of {joints} joints ({self.skeleton.name})"


def check(condition: bool, name: str, fault: str) -> None:
    """Raise DescriptionError unless a condition holds.

    name: the field
    fault: what is wrong with the field, to follow its name in the message
    """
    if not condition:
        raise DescriptionError(f"{name} {fault}")


def check_keys(plain: Any, keys: list[str], name: str) -> None:
    """Raise DescriptionError unless `plain` is a dictionary with exactly these keys.

    name: what the message calls the dictionary
    """
    check(isinstance(plain, dict), name, "is no object with names and values")
    for key in sorted(set(keys) ^ set(plain), key=str):
        check(key not in keys, name, f"lacks {key!r}")
        check(key in keys, name, f"has {str(key)[:40]!r}, which is unknown here")


# ---- built-in skeletons


def _skeleton(
    name: str, bones: dict[str, str], origin: tuple[str, ...], shoulders: tuple[str, str]
) -> Skeleton:
    # bones: {joint: its parent}, in the order of the joints.
    return Skeleton.from_plain(
        {
            "name": name,
            "joints": list(bones),
            "parents": list(bones.values()),
            "origin": list(origin),
            "shoulders": list(shoulders),
        }
    )


def _limbs(*limbs: tuple[str, ...]) -> dict[str, str]:
    # {joint: its parent} of limbs on the left side, then on the right side. A limb is
    # (the joint of the trunk where it begins, its first joint, its second joint, ...).
    bones = {}
    for side in ("left", "right"):
        for trunk, *joints in limbs:
            parents = [trunk, *(f"{side} {joint}" for joint in joints[:-1])]
            bones |= {f"{side} {j}": p for j, p in zip(joints, parents, strict=True)}
    return bones


_SHOULDERS = ("left shoulder", "right shoulder")
_ARM, _LEG = ("shoulder", "elbow", "wrist", "hand"), ("hip", "knee", "ankle", "foot")

# Order and bones as in Shahroudy et al., CVPR 2016 (NTU RGB+D).
KINECT_V2 = _skeleton(
    "Kinect v2",
    {
        "base of spine": "middle of spine",
        "middle of spine": "spine at shoulders",
        "neck": "spine at shoulders",
        "head": "neck",
        **_limbs(("spine at shoulders", *_ARM)),
        **_limbs(("base of spine", *_LEG)),
        "spine at shoulders": "spine at shoulders",
        "tip of left hand": "left thumb",
        "left thumb": "left hand",
        "tip of right hand": "right thumb",
        "right thumb": "right hand",
    },
    ("middle of spine",),
    _SHOULDERS,
)
# Order as in the Kinect for Windows SDK 1.8; bones as in Chen et al., ICCV 2021 (CTR-GCN).
KINECT_V1 = _skeleton(
    "Kinect v1",
    {
        "center of hips": "spine",
        "spine": "center of shoulders",
        "center of shoulders": "center of shoulders",
        "head": "center of shoulders",
        **_limbs(("center of shoulders", *_ARM)),
        **_limbs(("center of hips", *_LEG)),
    },
    ("spine",),
    _SHOULDERS,
)
# Order and bones as in the Azure Kinect body tracking SDK.
_AZURE_ARM = {
    "clavicle": "chest", "shoulder": "clavicle", "elbow": "shoulder", "wrist": "elbow",
    "hand": "wrist", "hand tip": "hand", "thumb": "wrist",
}  # fmt: skip
AZURE_KINECT = _skeleton(
    "Azure Kinect",
    {
        "pelvis": "pelvis",
        "navel": "pelvis",
        "chest": "navel",
        "neck": "chest",
        **{
            f"{side} {joint}": parent if parent == "chest" else f"{side} {parent}"
            for side in ("left", "right")
            for joint, parent in _AZURE_ARM.items()
        },
        **_limbs(("pelvis", *_LEG)),
        "head": "neck",
        **dict.fromkeys(("nose", "left eye", "left ear", "right eye", "right ear"), "head"),
    },
    ("navel",),
    _SHOULDERS,
)
# Order as in Lin et al., ECCV 2014 (COCO keypoints); bones as in Duan et al., 2022 (PYSKL).
COCO_17 = _skeleton(
    "COCO-17",
    {
        **dict.fromkeys(("nose", "left eye", "right eye"), "nose"),
        **{"left ear": "left eye", "right ear": "right eye"},
        **{"left shoulder": "nose", "right shoulder": "nose"},
        **{"left elbow": "left shoulder", "right elbow": "right shoulder"},
        **{"left wrist": "left elbow", "right wrist": "right elbow"},
        **{"left hip": "left shoulder", "right hip": "right shoulder"},
        **{"left knee": "left hip", "right knee": "right hip"},
        **{"left ankle": "left knee", "right ankle": "right knee"},
    },
    ("left hip", "right hip"),
    _SHOULDERS,
)
# Order and bones as in Pavllo et al., CVPR 2019 (VideoPose3D), from Human3.6M's 32 joints.
HUMAN36M_17 = _skeleton(
    "Human3.6M-17",
    {
        "pelvis": "pelvis",
        "right hip": "pelvis",
        "right knee": "right hip",
        "right foot": "right knee",
        "left hip": "pelvis",
        "left knee": "left hip",
        "left foot": "left knee",
        "spine": "pelvis",
        "thorax": "spine",
        "neck": "thorax",
        "head": "neck",
        "left shoulder": "thorax",
        "left elbow": "left shoulder",
        "left wrist": "left elbow",
        "right shoulder": "thorax",
        "right elbow": "right shoulder",
        "right wrist": "right elbow",
    },
    ("spine",),
    _SHOULDERS,
)
BUILT_IN = {
    "kinect_v2": KINECT_V2,
    "kinect_v1": KINECT_V1,
    "azure_kinect": AZURE_KINECT,
    "coco_17": COCO_17,
    "human36m_17": HUMAN36M_17,
}
NTU = Layout(KINECT_V2, 2)  # NTU RGB+D and PKU-MMD; also a checkpoint that names no layout
