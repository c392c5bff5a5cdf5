"""An articulated body with the 25 joints of Kinect v2: forward kinematics, people of random build.

The axes of a body, in metres: x to its own right, y up, z to its back. A camera looks along +z, and
its x axis points to the right hand of a person who faces it. So a body that is not turned faces the
camera. A pose is a vector (D,) of the degrees of freedom DOF, in degrees (`flight` in centimetres).
"""

from typing import NamedTuple

import numpy as np

SIDES = {"l": -1, "r": 1}

# Offsets from a joint's parent to the joint, at rest, for a stature of 1 (x is mirrored on the left
# side). Joints have the numbers of NTU RGB+D, from 0: base of spine, middle of spine, neck, head,
# left arm 4-7, right arm 8-11, left leg 12-15, right leg 16-19, spine at shoulders 20, left tip and
# thumb 21 22, right tip and thumb 23 24.
PARENT = (-1, 0, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 1, 7, 7, 11, 11)
TRUNK = {1: (0, 0.171, 0), 20: (0, 0.126, 0), 2: (0, 0.042, 0), 3: (0, 0.082, -0.012)}
ARM = {
    "shoulder": (0.100, -0.030, 0),
    "elbow": (0, -0.155, 0),
    "wrist": (0, -0.143, 0),
    "hand": (0, -0.044, 0),
    "tip": (0, -0.045, 0),
    "thumb": (-0.008, -0.018, -0.028),
}
LEG = {
    "hip": (0.046, -0.020, 0),
    "knee": (0, -0.232, 0),
    "ankle": (0, -0.228, 0),
    "foot": (0, -0.030, -0.066),
}
ARM_JOINTS = {"l": (4, 5, 6, 7, 21, 22), "r": (8, 9, 10, 11, 23, 24)}
LEG_JOINTS = {"l": (12, 13, 14, 15), "r": (16, 17, 18, 19)}
ORDER = (0, 1, 20, 2, 3, *ARM_JOINTS["l"], *ARM_JOINTS["r"], *LEG_JOINTS["l"], *LEG_JOINTS["r"])
ANKLE_HEIGHT, FOOT_HEIGHT = 0.046, 0.016  # above the sole, for a stature of 1
HEAD_HEIGHT = 0.947

_LIMB = ("fwd", "out", "turn", "elbow", "wrist", "hip", "apart", "toes", "knee", "foot")
_CENTRAL = ("bend", "side", "twist", "nod", "shake", "tilt", "flight")
DOF = (*_CENTRAL, *(f"{s}_{name}" for s in SIDES for name in _LIMB))
INDEX = {name: i for i, name in enumerate(DOF)}
# A pose is mirrored by MIRROR_SIGN * pose[MIRROR_FROM]: some degrees of freedom change their sign,
# and left and right are exchanged.
MIRROR_SIGN = np.array([-1.0 if d in ("side", "twist", "shake", "tilt") else 1 for d in DOF])
MIRROR_FROM = [INDEX[{"l_": "r_", "r_": "l_"}.get(d[:2], d[:2]) + d[2:]] for d in DOF]


def vector(**degrees: float) -> np.ndarray:
    """A pose (D,) from {degree of freedom: degrees}; all others are 0.

    A name without a side, such as `fwd`, sets the left and the right side.
    """
    pose = np.zeros(len(DOF))
    for name, value in degrees.items():
        for key in (name,) if name in INDEX else (f"l_{name}", f"r_{name}"):
            pose[INDEX[key]] = value
    return pose


# ---------------------------------------------------------------- rotations


def rotation(
    x: float | np.ndarray = 0.0, y: float | np.ndarray = 0.0, z: float | np.ndarray = 0.0
) -> np.ndarray:
    """Unit quaternions (..., 4), w first, of rotation vectors; x, y, z: (...), degrees."""
    half = np.deg2rad(np.stack(np.broadcast_arrays(x, y, z), axis=-1)) / 2
    angle = np.linalg.norm(half, axis=-1, keepdims=True)
    return np.concatenate([np.cos(angle), half * np.sinc(angle / np.pi)], axis=-1)


def multiply(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The Hamilton product of quaternions (..., 4), which rotates first by q, then by p."""
    pw, pv, qw, qv = p[..., :1], p[..., 1:], q[..., :1], q[..., 1:]
    scalar = pw * qw - (pv * qv).sum(-1, keepdims=True)
    return np.concatenate([scalar, pw * qv + qw * pv + np.cross(pv, qv)], axis=-1)


def rotate(q: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Rotate vectors v (..., 3) by unit quaternions q (..., 4)."""
    t = 2 * np.cross(q[..., 1:], v)
    return v + q[..., :1] * t + np.cross(q[..., 1:], t)


# ---------------------------------------------------------------- forward kinematics


def forward_kinematics(person: "Person", pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The joints of a body that moves through poses and stands on the floor.

    person: the Person, whose offsets are used
    pose: (T, D), in the units of DOF
    Returns positions (T, 25, 3) in metres, and orientations (T, 25, 4) as quaternions.

    The foot on the floor does not move and carries the body, so steps make the body walk. `flight`
    lifts the body off the floor. The floor is y = 0; the body starts at the origin.
    """
    d = {name: pose[:, i] for name, i in INDEX.items()}
    turned = np.empty((len(pose), 25, 4))
    turned[:, 0] = rotation(-0.55 * d["bend"], 0, -0.5 * d["side"])
    turned[:, 1] = turned[:, 0]
    chest = multiply(turned[:, 0], rotation(-0.45 * d["bend"], d["twist"], -0.5 * d["side"]))
    turned[:, 20] = chest
    for joint, k in ((2, 0.4), (3, 1)):
        head = rotation(-k * d["nod"], k * d["shake"], -k * d["tilt"])
        turned[:, joint] = multiply(chest, head)
    for side, sign in SIDES.items():
        arm, leg = ARM_JOINTS[side], LEG_JOINTS[side]
        a = {name: d[f"{side}_{name}"] for name in _LIMB}
        turned[:, arm[0]] = chest
        swing = multiply(chest, rotation(a["fwd"], 0, sign * a["out"]))
        turned[:, arm[1]] = multiply(swing, rotation(y=sign * a["turn"]))
        turned[:, arm[2]] = multiply(turned[:, arm[1]], rotation(x=a["elbow"]))
        hand = multiply(turned[:, arm[2]], rotation(x=a["wrist"]))
        turned[:, arm[3:]] = hand[:, None]
        # Legs and feet turn relative to the upright body, not to the pelvis, so that a person who
        # bows keeps standing.
        turned[:, leg[0]] = turned[:, 0]
        turned[:, leg[1]] = rotation(a["hip"], 0, sign * a["apart"])
        turned[:, leg[2]] = multiply(turned[:, leg[1]], rotation(x=-a["knee"]))
        turned[:, leg[3]] = rotation(a["foot"], -sign * a["toes"], 0)
    joints = np.zeros((len(pose), 25, 3))
    for j in ORDER[1:]:
        joints[:, j] = joints[:, PARENT[j]] + rotate(turned[:, j], person.offsets[j])
    return joints + _carried(joints, person.stature, d["flight"] / 100)[:, None], turned


def _carried(joints: np.ndarray, stature: float, flight: np.ndarray) -> np.ndarray:
    # The position (T, 3) of the base of the spine for which the lower foot rests on the floor.
    ankles, feet = joints[:, [14, 18]], joints[:, [15, 19]]
    sole = np.minimum(
        ankles[..., 1] - ANKLE_HEIGHT * stature, feet[..., 1] - FOOT_HEIGHT * stature
    )  # (T, 2)
    lowest = sole.min(axis=1, keepdims=True)
    load = np.exp((lowest - sole) / 0.015)  # a higher foot carries less
    load /= load.sum(axis=1, keepdims=True)
    ground = (ankles + feet) / 2
    slide = (np.diff(ground, axis=0) * ((load[1:] + load[:-1]) / 2)[..., None]).sum(axis=1)
    base = np.zeros((len(joints), 3))
    base[1:] = -np.cumsum(slide, axis=0)
    base[:, 1] = flight - lowest[:, 0]
    return base


# ---------------------------------------------------------------- people

# Poses of an idle arm: it hangs (twice as likely), is on the hip, before the belly, or behind the
# back.
HABITS = (
    vector(),
    vector(),
    vector(l_out=38, l_fwd=-12, l_turn=60, l_elbow=90),
    vector(l_fwd=8, l_turn=65, l_elbow=85),
    vector(l_fwd=-28, l_turn=70, l_elbow=50),
)


class Person(NamedTuple):
    """The body of a person and the way the person moves."""

    stature: float  # metres
    offsets: np.ndarray  # (25, 3) metres from parent to joint, upright with hanging arms
    posture: np.ndarray  # (D,) degrees added to every pose
    sway: np.ndarray  # (D,) degrees, the amplitude of idle movements
    habit: np.ndarray  # (D,) degrees, the pose of the left arm when it is idle
    vigor: float  # factor on the size of movements
    tempo: float  # factor on the duration of movements
    left_handed: bool


def draw_person(rng: np.random.Generator) -> Person:
    """Draw a Person with random size, proportions and style; rng: a numpy generator."""
    stature = rng.uniform(1.54, 1.90)
    arms, legs, width, trunk = 1 + 0.06 * rng.standard_normal(4).clip(-2, 2)
    offsets = np.zeros((25, 3))
    for joint, offset in TRUNK.items():
        offsets[joint] = np.multiply(offset, trunk)
    for side, sign in SIDES.items():
        for joints, rest, length in ((ARM_JOINTS, ARM, arms), (LEG_JOINTS, LEG, legs)):
            for i, (joint, offset) in enumerate(zip(joints[side], rest.values(), strict=True)):
                scale = width if i == 0 else length
                offsets[joint] = np.multiply(offset, (sign * scale, scale, scale))
    legs_height = ANKLE_HEIGHT - offsets[[12, 13, 14], 1].sum()
    offsets *= HEAD_HEIGHT / (legs_height + offsets[[*TRUNK], 1].sum())
    offsets[[15, 19]] = LEG["foot"]
    posture = vector(
        bend=rng.normal(3, 4), side=rng.normal(0, 2), twist=rng.normal(0, 5), nod=rng.normal(5, 8),
        fwd=rng.normal(0, 5), out=rng.uniform(4, 16), turn=rng.normal(10, 10),
        elbow=rng.uniform(6, 26), apart=rng.uniform(1, 9), toes=rng.uniform(0, 20),
        knee=rng.uniform(0, 8), hip=rng.uniform(0, 3),
    )  # fmt: skip
    restless = rng.uniform(0.4, 2.5)
    sway = restless * vector(
        bend=1.5, side=1.2, twist=4, nod=4, shake=8, tilt=2, fwd=3, out=2, turn=4, elbow=4, wrist=5
    )
    return Person(
        stature=stature,
        offsets=offsets * stature,
        posture=posture,
        sway=sway,
        habit=HABITS[rng.integers(len(HABITS))],
        vigor=rng.uniform(0.6, 1.15),
        tempo=rng.uniform(0.7, 1.2),
        left_handed=rng.random() < 0.35,
    )
