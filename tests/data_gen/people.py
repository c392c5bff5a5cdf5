"""Made-up people with 20 joints in the order of Kinect v1, in the axes of a Kinect, for tests."""

import numpy as np

from data_gen.clip import map_joints
from feeder.skeletons import KINECT_V1, Skeleton

LEFT = {
    "left shoulder": (-0.2, 0.5, 0.0), "left elbow": (-0.25, 0.2, 0.0),
    "left wrist": (-0.25, 0.0, -0.05), "left hand": (-0.25, -0.08, -0.06),
    "left hip": (-0.1, -0.05, 0.0), "left knee": (-0.12, -0.5, -0.03),
    "left ankle": (-0.12, -0.9, 0.04), "left foot": (-0.13, -0.95, -0.1),
}  # fmt: skip
REST = {
    "center of hips": (0.0, 0.0, 0.0), "spine": (0.0, 0.25, 0.0),
    "center of shoulders": (0.0, 0.5, 0.01), "head": (0.0, 0.7, -0.02), **LEFT,
    **{name.replace("left", "right"): (-x, y, z) for name, (x, y, z) in LEFT.items()},
}  # fmt: skip
POSE = np.array([REST[joint] for joint in KINECT_V1.joints])


def turn(degrees: float) -> np.ndarray:
    """A rotation (3, 3) about the vertical."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])


def person(
    seed: int, frames: int = 20, facing: float | None = None, at: tuple = (0, 0, 0)
) -> np.ndarray:
    """(T, 20, 3), metres: somebody who waves, 3 m away plus `at`, turned by `facing` degrees."""
    rng = np.random.default_rng(seed)
    body = np.repeat(POSE[None] * rng.uniform(0.9, 1.1), frames, axis=0)
    wave = np.sin(np.linspace(0, rng.uniform(3, 9), frames))
    for joint, far in ((9, 0.1), (10, 0.3), (11, 0.4)):
        body[:, joint, 1] += far * (1 + wave)
    body = body @ turn(rng.uniform(-50, 50) if facing is None else facing).T
    return body + rng.normal(0, 0.004, body.shape) + [rng.uniform(-0.5, 0.5), 0.1, 3] + np.array(at)


def as_skeleton(body: np.ndarray, target: Skeleton) -> np.ndarray:
    """(T, 20, 3) -> (T, W, 3) with the joints of another skeleton."""
    return map_joints(body[:, None], KINECT_V1, target)[:, 0]
