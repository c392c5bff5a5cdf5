"""Synthetic people with the 17 joints of COCO, as pose estimators give, not the 25 of Kinect."""

import numpy as np

from feeder.skeletons import COCO_17, KINECT_V2

# Offsets from the middle of the head, in metres: (forward, up, to the person's left).
FACE = {
    "nose": (0.11, 0.0, 0.0),
    "left eye": (0.09, 0.04, 0.03),
    "right eye": (0.09, 0.04, -0.03),
    "left ear": (0.0, 0.02, 0.08),
    "right ear": (0.0, 0.02, -0.08),
}


def as_coco(joints: np.ndarray) -> np.ndarray:
    """Convert bodies of Kinect v2 (..., 25, 3) to bodies of COCO (..., 17, 3), both in metres.

    The limbs stay the same. Nose, eyes and ears are put around the head, which faces as the chest
    does.
    """
    of = {name: joints[..., number, :] for number, name in enumerate(KINECT_V2.joints)}
    up = _unit(of["spine at shoulders"] - of["middle of spine"])
    left = _unit(of["left shoulder"] - of["right shoulder"])
    forward = _unit(np.cross(left, up))
    for name, (ahead, above, aside) in FACE.items():
        of[name] = of["head"] + ahead * forward + above * up + aside * left
    return np.stack([of[name] for name in COCO_17.joints], axis=-2)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
