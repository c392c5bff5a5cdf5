"""How strongly views are augmented: one record for training and for every picture of its views.

This file does not import torch, so that `--help` is fast.
"""

from dataclasses import dataclass, field
from typing import Any


def _strength(default: float | int | bool, meaning: str, **limits: float) -> Any:
    return field(default=default, metadata={"group": "augmentation", "help": meaning, **limits})


def _probability(default: float, event: str) -> Any:
    return _strength(default, f"probability that {event}", most=1)


@dataclass(frozen=True)
class Strengths:
    """The strengths of the augmentation; the defaults are those of the published method.

    At most one of shear and corruption changes a view. Shear multiplies all joints by one matrix
    with ones on the diagonal. Corruption multiplies some joints by one random matrix, or sets them
    to zero. A rotation, which the published method does not have, may follow.
    """

    shortest_crop: float = _strength(0.1, "shortest crop, as a share of the clip", most=1)
    fewest_frames: int = _strength(64, "least frames of a crop, if the clip has them", least=1)
    spatial_probability: float = _probability(1.0, "a view is sheared or corrupted")
    shear_probability: float = _probability(0.5, "a changed view is sheared, not corrupted")
    shear_amplitude: float = _strength(1.0, "greatest entry of a shear beside its diagonal")
    corrupted_joints: float = _strength(0.6, "share of the joints that corruption changes", most=1)
    shared_view: bool = _strength(False, "one view of a clip for all modalities, not one for each")
    zero_probability: float = _probability(0.5, "corruption sets joints to zero, not to a product")
    yaw: float = _strength(0.0, "greatest rotation about the vertical axis, in degrees", most=180)
    tilt: float = _strength(0.0, "greatest rotation about the other axes, in degrees", most=180)

    @property
    def rotates(self) -> bool:
        """Whether views are rotated."""
        return self.yaw > 0 or self.tilt > 0

    @property
    def angles(self) -> tuple[float, float, float]:
        """The greatest angles about x, y (the vertical axis) and z, in degrees."""
        return self.tilt, self.yaw, self.tilt


PUBLISHED = Strengths()
