"""From the bodies of a raw file to a clip: as many as are kept, repaired, centered, aligned.

Coordinates are in metres, arrays (T, M, V, C) = frames, bodies, joints, xyz.
"""

import numpy as np

from data_gen.datasets.skeletons import KINECT_V2, NTU, Layout, Skeleton


def prepare_clip(bodies: np.ndarray, layout: Layout = NTU) -> np.ndarray | None:
    """The clip as it is stored.

    bodies: (T, M, V, 3) float64 with finite values, body slots as in the file, M from 0 up.
    layout: how many bodies are kept, and their skeleton. Returns (T, bodies, V, 3) float32, the
    main body first, zeros where there is no body; None where there is none in the whole clip.
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
    """Where there is nothing along the axes: the coordinates there sum to zero."""
    return coordinates.sum(axis=axes) == 0


def choose_slots(bodies: np.ndarray, present: np.ndarray, most: int = NTU.bodies) -> list[int]:
    """The slots of greatest energy, as many as `most` or as there are, the greatest first.

    bodies: (T, M, V, 3). present: (T, M) bool, where a frame is not empty. Energy = std of x +
    std of y + std of z over the frames that are not empty. Of equal energies the higher slot comes
    first, as in an ascending stable sort, reversed; slots without a body come last.
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
    """Fills up a body (T, V, 3) that comes late or leaves early; present: (T,) bool.

    If its first frame is empty, its other frames move to the front. Then the frames up to its last
    one are repeated until the clip is full. Frames that are empty in the middle stay empty.
    """
    if not present.any():
        return body
    frames = np.flatnonzero(present)
    kept = np.arange(frames[-1] + 1) if present[0] else frames
    return body[np.resize(kept, len(body))]


def center(clip: np.ndarray, skeleton: Skeleton = KINECT_V2) -> np.ndarray:
    """Moves the main body's origin, as the skeleton names it, to zero in each frame of a clip.

    clip: (T, M, V, 3). An origin of several joints is the mean of those that have a position.
    Joints without a position stay as they are.
    """
    joints = clip[:, :1, list(skeleton.origin)]  # (T, 1, K, 3)
    number = (~is_empty(joints, -1)).sum(-1)  # (T, 1)
    origin = joints.sum(2, keepdims=True) / np.maximum(number, 1)[..., None, None]
    return np.where(is_empty(clip, -1)[..., None], clip, clip - origin)


def align(clip: np.ndarray, skeleton: Skeleton = KINECT_V2) -> np.ndarray:
    """Turns a clip (T, M, V, 3) so that the main body's first shoulder line lies on the x axis."""
    left, right = skeleton.shoulders
    shoulders = clip[0, 0, right] - clip[0, 0, left]
    return (clip.reshape(-1, 3) @ rotation_to_x(shoulders).T).reshape(clip.shape)


def rotation_to_x(line: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) by the smallest angle that takes a direction (3,) to that of the x axis.

    The identity where line, angle or axis are too small to tell one (a line along -x included).
    By Rodrigues' formula.
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
