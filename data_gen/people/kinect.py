"""A model of a Kinect v2 that records moving bodies: its place, hidden joints, noise, lost frames.

The axes of the camera, in metres: it looks along +z, y is up, and x points to the right hand of a
person who faces the camera.
"""

from typing import NamedTuple

import numpy as np

from data_gen.people import body
from data_gen.readers.skeleton_file import JOINT_VALUES, SampleName

# VIEW[replication][camera]: by how many degrees the first person is turned away from the camera. As
# in NTU RGB+D, people face camera 2 in replication 1 and camera 3 in replication 2; camera 1 is
# between them.
VIEW = {1: {1: 45, 2: 0, 3: 90}, 2: {1: -45, 2: -90, 3: 0}}

WRISTS, ANKLES, FEET = [6, 10], [14, 18], [15, 19]
HANDS = [7, 11, 21, 22, 23, 24]
LEAVES = [3, *FEET, 21, 22, 23, 24]  # joints without an orientation in a Kinect's recording
LIMBS = [j for limb in (body.ARM_JOINTS, body.LEG_JOINTS) for side in limb.values() for j in side]
NOISE = np.full(25, 0.003)  # standard deviation of each joint in metres, at a distance of 3 m
NOISE[WRISTS + ANKLES + FEET] = 0.007
NOISE[HANDS] = 0.015
GUESS = 0.10  # standard deviation of a hidden joint in metres, at any distance
COVER = 0.10  # half the width of a trunk, metres


class Recording(NamedTuple):
    """What a Kinect saw in T frames of M bodies."""

    ids: list  # M numbers, by which the sensor identifies the bodies
    present: np.ndarray  # (T, M) bool, whether the body was seen
    rows: np.ndarray  # (T, M, 25, 12): x y z, depth x y, color x y, orientation w x y z, state


def watch(
    sample: SampleName, joints: np.ndarray, turned: np.ndarray, rng: np.random.Generator
) -> Recording:
    """Record moving bodies with the camera that a clip's name says.

    sample: the fields of the clip's name
    joints: (T, M, 25, 3), metres; the floor is y = 0 and the first person faces -z
    turned: (T, M, 25, 4), orientations as quaternions
    rng: a numpy generator
    """
    frames, bodies = joints.shape[:2]
    order = rng.permutation(bodies)  # the sensor lists bodies in any order
    points, turned = from_camera(sample, joints[:, order], turned[:, order], rng)
    hidden = hidden_joints(points)
    points = points + errors(points, hidden, rng)
    rows = np.zeros((frames, bodies, 25, JOINT_VALUES))
    rows[..., :3] = points
    rows[..., 3:7] = pixels(points, rng)
    rows[..., 7:11] = turned
    rows[:, :, LEAVES, 7:11] = 0
    rows[..., 11] = np.where(hidden > 0.5, 1, 2)  # 1: inferred, 2: tracked
    ids = 72057594037927936 + rng.choice(90_000, bodies, replace=False)
    return Recording(ids.tolist(), presence(frames, bodies, rng), rows)


def from_camera(
    sample: SampleName, joints: np.ndarray, turned: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Positions and orientations in the axes of the camera; arguments as `watch` takes them.

    The setup decides the height and the distance of the camera, which looks down to the middle of
    the scene.
    """
    height = 1.2 + 0.1 * (7 * sample.setup % 9)
    distance = 2.7 + 0.2 * (5 * sample.setup % 6)
    down = np.rad2deg(np.arctan2(height - 0.9, distance)) / 2 + rng.normal(0, 1)
    around = body.rotation(y=VIEW[sample.replication][sample.camera] + rng.normal(0, 6))
    tilt = body.rotation(x=-down)
    middle = joints[:, :, 0].mean(axis=(0, 1)) * (1, 0, 1)
    stand = np.array([rng.normal(0, 0.15), -height, distance + rng.normal(0, 0.1)])
    points = body.rotate(tilt, body.rotate(around, joints - middle) + stand)
    return points, body.multiply(body.multiply(tilt, around), turned)


def hidden_joints(points: np.ndarray) -> np.ndarray:
    """How much each joint is hidden behind a trunk of any body: (T, M, 25), from 0 to 1.

    points: (T, M, 25, 3), metres, in the axes of the camera
    """
    hidden = np.zeros(points.shape[:3])
    limbs = points[:, :, LIMBS]
    seen = limbs[..., :2] / limbs[..., 2:]  # the directions in which the camera sees the joints
    for m in range(points.shape[1]):
        low, high = points[:, m, None, None, 0], points[:, m, None, None, 20]
        foot, trunk = low[..., :2] / low[..., 2:], high[..., :2] / high[..., 2:]
        trunk = trunk - foot
        along = ((seen - foot) * trunk).sum(-1) / (trunk**2).sum(-1)
        along = along.clip(0, 1.1)[..., None]  # the nearest place on the line of the trunk
        aside = np.linalg.norm(seen - foot - along * trunk, axis=-1) * limbs[..., 2]
        behind = limbs[..., 2] - (low + along * (high - low))[..., 2]
        cover = (1.5 - aside / COVER).clip(0, 1) * (behind / COVER - 0.5).clip(0, 1)
        hidden[:, :, LIMBS] = np.maximum(hidden[:, :, LIMBS], cover)
    return hidden


def errors(points: np.ndarray, hidden: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The errors of the sensor: (T, M, 25, 3), metres.

    points: (T, M, 25, 3), metres, in the axes of the camera
    hidden: (T, M, 25), what `hidden_joints` returned

    Jitter grows with the distance and is greater in depth. A hidden joint gets a large, slow error.
    """

    def noise(
        width: int,
    ) -> np.ndarray:  # the running mean over `width` frames; its standard deviation is 1
        total = rng.standard_normal((len(points) + width, *points.shape[1:])).cumsum(axis=0)
        return (total[width:] - total[:-width]) / np.sqrt(width)

    jitter = NOISE[:, None] * points[..., 2:] / 3 * noise(2) * (1, 1, 1.5)
    return jitter + GUESS * hidden[..., None] * noise(12)


def pixels(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The coordinates of joints in the depth image and in the color image: (T, M, 25, 4), pixels.

    points: (T, M, 25, 3), metres, in the axes of the camera

    The images have 512 × 424 and 1920 × 1080 pixels; the cameras are pinhole cameras with the focal
    lengths of a Kinect v2. A few values are NaN, as in real files where the sensor could not map a
    point.
    """
    x, y = np.moveaxis(points[..., :2] / points[..., 2:], -1, 0)
    lens = 0.052 / points[..., 2]  # the two cameras are 0.052 m apart
    columns = [256 + 365 * x, 212 - 365 * y, 960 + 1060 * (x + lens), 540 - 1060 * y]
    image = np.stack(columns, axis=-1)
    if rng.random() < 0.1:
        image[rng.random(image.shape[:3]) < 0.02] = np.nan
    return image


def presence(frames: int, bodies: int, rng: np.random.Generator) -> np.ndarray:
    """Which bodies are seen in which frames: (T, M) bool.

    All bodies but the first may come late or leave early. Sometimes a few frames have no body.
    """
    present = np.ones((frames, bodies), dtype=bool)
    chance, absent = rng.random(), int(frames * rng.uniform(0.1, 0.4))
    if chance < 0.15:
        present[:absent, 1:] = False
    elif chance < 0.25:
        present[-absent:, 1:] = False
    if rng.random() < 0.12:
        lost = rng.integers(frames)
        present[lost : lost + rng.integers(1, 5)] = False
    return present
