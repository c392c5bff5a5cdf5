"""From the bodies in a raw file to a clip: choose bodies, repair, center and align them.

Coordinates are in metres. The axes of arrays are (T, M, V, C) = (frames, bodies, joints, xyz).
"""

import numpy as np

from common import UserError
from feeder.skeletons import KINECT_V2, MAX_METRES, NTU, Layout, Skeleton, joint_map


def prepare_clip(bodies: np.ndarray, layout: Layout = NTU) -> np.ndarray | None:
    """Make the clip that a store holds, as published for NTU RGB+D.

    bodies: (T, M, V, 3) float64, metres, finite; the M >= 0 bodies as they stand in the file
    layout: how many bodies to keep, and their skeleton
    Returns (T, layout.bodies, V, 3) float32 with the main body first and zeros where there is no
    body; None if the whole clip has no body.
    """
    present = ~is_empty(bodies, (2, 3))  # (T, M)
    if not present.any():
        return None
    slots = choose_slots(bodies, present, layout.bodies)
    kept = np.stack([repair(bodies[:, slot], present[:, slot]) for slot in slots], axis=1)
    clip = np.zeros((len(bodies), layout.bodies, *bodies.shape[2:]), np.float32)
    clip[:, : len(slots)] = align(center(kept, layout.skeleton), layout.skeleton)
    return clip


def is_empty(coordinates: np.ndarray, axes: int | tuple[int, ...]) -> np.ndarray:
    """Where the coordinates sum to zero along the axes, which means that there is nothing."""
    return coordinates.sum(axis=axes) == 0


def choose_slots(bodies: np.ndarray, present: np.ndarray, most: int = NTU.bodies) -> list[int]:
    """The bodies with the greatest energy, the greatest first: indices along M.

    bodies: (T, M, V, 3), metres
    present: (T, M) bool, which bodies are in which frames

    The energy of a body is std of x + std of y + std of z over its joints and the frames in which
    it is present. Of two equal energies the greater index comes first, as if an ascending stable
    sort were reversed. Bodies that are never present come last.
    """
    slots = range(bodies.shape[1])
    if len(slots) == 1:
        return [0]
    energies = [
        bodies[present[:, slot], slot].std(axis=(0, 1)).sum() if present[:, slot].any() else -1
        for slot in slots
    ]
    return np.argsort(energies, kind="stable")[::-1][:most].tolist()


def repair(body: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Fill up a body (T, V, 3) that comes late or leaves early.

    present: (T,) bool, in which frames the body is

    If the first frame is empty, the frames that are not empty move to the front. Then the frames up
    to the last one that is not empty are repeated until the clip is full. Empty frames in the
    middle stay empty unless frames moved.
    """
    if not present.any():
        return body
    frames = np.flatnonzero(present)
    kept = np.arange(frames[-1] + 1) if present[0] else frames
    return body[np.resize(kept, len(body))]


def center(clip: np.ndarray, skeleton: Skeleton = KINECT_V2) -> np.ndarray:
    """Move the main body's origin to zero in each frame of a clip (T, M, V, 3).

    The origin is the mean of the skeleton's origin joints that have a position. Joints without a
    position stay zero.
    """
    joints = clip[:, :1, list(skeleton.origin)]  # (T, 1, K, 3)
    number = (~is_empty(joints, -1)).sum(-1)  # (T, 1)
    origin = joints.sum(2, keepdims=True) / np.maximum(number, 1)[..., None, None]
    return np.where(is_empty(clip, -1)[..., None], clip, clip - origin)


def align(clip: np.ndarray, skeleton: Skeleton = KINECT_V2) -> np.ndarray:
    """Rotate a clip (T, M, V, 3): the main body's first shoulder line comes onto the x axis."""
    left, right = skeleton.shoulders
    shoulders = clip[0, 0, right] - clip[0, 0, left]
    return (clip.reshape(-1, 3) @ rotation_to_x(shoulders).T).reshape(clip.shape)


def rotation_to_x(line: np.ndarray) -> np.ndarray:
    """The rotation matrix (3, 3) that turns `line` (3,) to the x axis by the smallest angle.

    Rodrigues' formula. The identity if the line or the angle is almost zero, or if the line points
    along -x, where the axis of the rotation is not defined.
    """
    axis = np.array([0.0, line[2], -line[1]])  # line × x
    length, sine = np.linalg.norm(line), np.linalg.norm(axis)
    angle = np.arctan2(sine, line[0])
    if np.abs(line).sum() < 1e-6 or np.abs(axis).sum() < 1e-6 or angle < 1e-6:
        return np.eye(3)
    _, y, z = axis / sine
    cos, sin = line[0] / length, sine / length
    cross = np.array([[0, -z, y], [z, 0, 0], [-y, 0, 0]])
    return np.eye(3) + sin * cross + (1 - cos) * cross @ cross


def map_joints(bodies: np.ndarray, source: Skeleton, target: Skeleton) -> np.ndarray:
    """Take the joints of another skeleton by their names: (T, M, V, 3) -> (T, M, W, 3).

    A joint that is a mean is NaN if one of its sources is. Raises UserError as `joint_map`.
    """
    taken = [bodies[:, :, list(joints)].mean(2) for joints in joint_map(source, target)]
    return np.stack(taken, axis=2)


def require_metres(name: str, bodies: np.ndarray) -> None:
    """Raise UserError with the frame if a coordinate of (T, ...) is NaN or over MAX_METRES.

    name: of the file or clip, for the message
    """
    wrong = ~(np.abs(bodies) <= MAX_METRES).all(tuple(range(1, bodies.ndim)))
    if wrong.any():
        frame = 1 + np.argmax(wrong)
        raise UserError(f"{name}, frame {frame}: a coordinate is NaN or over {MAX_METRES:.0f} m")
