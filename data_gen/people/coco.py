"""The same people as a pose estimator gives them: 17 joints of COCO in place of Kinect's 25."""

import numpy as np

from data_gen.datasets.skeletons import COCO_17, KINECT_V2

# From the middle of the head, in metres: (forward, up, to the person's left).
FACE = {
    "nose": (0.11, 0.0, 0.0),
    "left eye": (0.09, 0.04, 0.03),
    "right eye": (0.09, 0.04, -0.03),
    "left ear": (0.0, 0.02, 0.08),
    "right ear": (0.0, 0.02, -0.08),
}


def as_coco(joints: np.ndarray) -> np.ndarray:
    """Bodies of Kinect v2's joints (..., 25, 3) as bodies of COCO's joints (..., 17, 3), metres.

    Limbs are the same; nose, eyes and ears stand around the head, which looks where the chest does.
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
