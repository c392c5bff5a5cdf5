"""Augmented views of clips: crop and resize in time, shear, joint corruption, rotation.

Clips are packed one after another in `frames` (F, M, V, C); (start, length), in frames, is a clip.
"""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from common import UserError, flag

VIEW_FRAMES = 64

# The uniform draws for one view of one clip: scale and start of the crop, kind of augmentation,
# whether corruption sets to zero, a 3×3 matrix, and one draw a joint, by which they are shuffled.
_SCALE, _START, _KIND, _ZERO, _MATRIX, _ORDER = 0, 1, 2, 3, slice(4, 13), 13
_ANGLES = 3  # further draws of a rotation, at the end and only if views are rotated


def _strength(default: float | int | bool, meaning: str) -> Any:
    return field(default=default, metadata={"help": meaning})  # pretrain.py makes it a flag


@dataclass(frozen=True)
class Strengths:
    """How strongly views are augmented; the defaults are those of the published method.

    Shear multiplies all joints by one matrix with ones on the diagonal; corruption multiplies some
    joints by one random matrix, or sets them to zero; a rotation, which is not published, follows.
    """

    shortest_crop: float = _strength(0.1, "shortest crop, as a share of the clip")
    fewest_frames: int = _strength(64, "minimum frames of a crop, if the clip has as many")
    spatial_probability: float = _strength(1.0, "probability that a view is sheared or corrupted")
    shear_probability: float = _strength(0.5, "probability that a change is shear, not corruption")
    shear_amplitude: float = _strength(1.0, "maximum off-diagonal entry of a shear")
    corrupted_joints: float = _strength(0.6, "share of the joints that corruption changes")
    shared_view: bool = _strength(False, "one view of a clip for all modalities, not one for each")
    zero_probability: float = _strength(0.5, "probability that corruption sets joints to zero")
    yaw: float = _strength(0.0, "maximum rotation about the vertical axis, in degrees")
    tilt: float = _strength(0.0, "maximum rotation about the other axes, in degrees")

    def __post_init__(self):
        for name, value in vars(self).items():
            is_share = name.endswith(("_probability", "shortest_crop", "corrupted_joints"))
            if not 0 <= value <= (1 if is_share else math.inf):
                limits = "from 0 to 1" if is_share else "at least 0"
                raise UserError(f"{flag(name)} must be {limits}")

    @property
    def rotates(self) -> bool:
        return self.yaw > 0 or self.tilt > 0


PUBLISHED = Strengths()


class Augmentation(NamedTuple):
    """The augmentation of each of N views."""

    start: Tensor  # (N,) int64, of the crop in the packed frames
    length: Tensor  # (N,) int64
    matrix: Tensor  # (N, V, C, C) float32, by which a joint's position, a row of xyz, is multiplied


def uniform_draws(
    rng: np.random.Generator, views: tuple[int, ...], joints: int, strengths: Strengths = PUBLISHED
) -> np.ndarray:
    """The uniform numbers that `augmentation` takes: (*views, draws) float32 in [0, 1)."""
    uniform = rng.random((*views, _ORDER + joints), dtype=np.float32)
    if not strengths.rotates:
        return uniform
    # Drawn last, so the other numbers do not depend on the rotation.
    return np.concatenate([uniform, rng.random((*views, _ANGLES), dtype=np.float32)], axis=-1)


def augmentation(
    uniform: Tensor, start: Tensor, length: Tensor, strengths: Strengths = PUBLISHED
) -> Augmentation:
    """Turn uniform draws (N, draws) into N augmentations of clips; start, length: (N,) int64."""
    scale = strengths.shortest_crop + (1 - strengths.shortest_crop) * uniform[:, _SCALE]
    cropped = (length * scale).long().clamp(min=max(1, strengths.fewest_frames)).minimum(length)
    room = length - cropped
    offset = (uniform[:, _START] * (room + 1)).long().minimum(room)

    # One draw decides: shear below the lower threshold, corruption below the upper, else nothing.
    kind, zeroed = uniform[:, _KIND], uniform[:, _ZERO] < strengths.zero_probability
    changed = kind < strengths.spatial_probability
    sheared = kind < strengths.spatial_probability * strengths.shear_probability
    last = -_ANGLES if strengths.rotates else None
    order = uniform[:, _ORDER:last].argsort(dim=1, stable=True)  # (N, V)
    corrupted = order < round(strengths.corrupted_joints * order.shape[1])
    values = uniform[:, _MATRIX].view(-1, 3, 3) * 2 - 1
    matrix = torch.where(
        sheared.view(-1, 1, 1, 1),
        shear(values * strengths.shear_amplitude),
        corruption(corrupted & changed[:, None], values * ~zeroed.view(-1, 1, 1)),
    )
    if strengths.rotates:
        drawn = uniform[:, last:] * 2 - 1
        # Python numbers, not a tensor: the host does not wait for a copy to the GPU.
        greatest = [math.radians(a) for a in (strengths.tilt, strengths.yaw, strengths.tilt)]
        matrix = matrix @ rotation(torch.stack([drawn[:, i] * greatest[i] for i in range(3)], 1))
    return Augmentation(start + offset, cropped, matrix)


def shear(values: Tensor) -> Tensor:
    """The matrices that shear all joints: values (N, C, C) -> (N, 1, C, C)."""
    matrix = values.mT.clone()  # a shear S maps a column p to S · p, but positions are rows
    matrix.diagonal(dim1=-2, dim2=-1).fill_(1)
    return matrix[:, None]


def corruption(joints: Tensor, values: Tensor) -> Tensor:
    """The matrices that multiply some joints by values: (N, V) bool, (N, C, C) -> (N, V, C, C)."""
    identity = torch.eye(3, device=values.device)
    return torch.where(joints[..., None, None], values[:, None], identity)


def rotation(angles: Tensor) -> Tensor:
    """Rotate about y, then x, then z: (N, 3) radians about x y z -> (N, 1, C, C), for rows xyz."""
    cos, sin = angles.cos(), angles.sin()
    about = []
    for axis in range(3):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        matrix = torch.eye(3, device=angles.device, dtype=angles.dtype).repeat(len(angles), 1, 1)
        matrix[:, i, i] = matrix[:, j, j] = cos[:, axis]
        matrix[:, i, j], matrix[:, j, i] = sin[:, axis], -sin[:, axis]
        about.append(matrix)
    x, y, z = about
    return (y @ x @ z)[:, None]


def augment(frames: Tensor, augmentation: Augmentation, out: Tensor | None = None) -> Tensor:
    """Make N augmented views of packed clips: frames (F, M, V, C) -> (N, T, M, V, C)."""
    views = resize(frames, augmentation.start, augmentation.length)
    n, length, bodies, joints, channels = views.shape
    # One product with the joints' matrices along the diagonal is far faster than many 3×3 products.
    block = views.new_zeros(n, joints, channels, joints, channels)
    block.diagonal(dim1=1, dim2=3).copy_(augmentation.matrix.permute(0, 2, 3, 1))
    rows = (n, length * bodies, joints * channels)
    out = None if out is None else out.view(rows)
    return torch.bmm(views.view(rows), block.view(n, rows[2], rows[2]), out=out).view(views.shape)


def augmented_views(
    frames: Tensor, start: Tensor, length: Tensor, uniform: Tensor, strengths: Strengths
) -> Tensor:
    """Views of packed clips, all the same with `shared_view`: (views, n, T, M, V, C).

    frames: (F, M, V, C); start, length: (n,); uniform: (views, n, draws)
    """
    count = len(uniform)
    if strengths.shared_view:
        uniform = uniform[:1].expand_as(uniform)
    chosen = augmentation(
        uniform.flatten(0, 1), start.repeat(count), length.repeat(count), strengths
    )
    views = frames.new_empty(count, len(start), VIEW_FRAMES, *frames.shape[1:])
    # View by view, which fits the caches of a CPU better than all views at once.
    for view, *part in zip(views, *(x.chunk(count) for x in chosen), strict=True):
        augment(frames, Augmentation(*part), out=view)
    return views


def resize(frames: Tensor, start: Tensor, length: Tensor, size: int = VIEW_FRAMES) -> Tensor:
    """Resize N crops of packed clips, given in frames: (F, M, V, C) -> (N, size, M, V, C).

    The values are those of `torch.nn.functional.interpolate(mode="linear", align_corners=False)`.
    """
    step = torch.arange(size, device=frames.device, dtype=frames.dtype) + 0.5  # (size,)
    scale = length[:, None].to(frames.dtype) / size
    position = (step * scale - 0.5).clamp_(min=0)  # (N, size)
    before = position.long()
    after = torch.minimum(before + 1, length[:, None] - 1)
    weight = position - before
    # Each new frame is the weighted sum of two rows. `embedding_bag` needs one pass over memory.
    rows = torch.stack([before, after], -1) + start[:, None, None]  # (N, size, 2)
    weights = torch.stack([1 - weight, weight], -1)
    resized = F.embedding_bag(
        rows.view(-1, 2), frames.flatten(1), mode="sum", per_sample_weights=weights.view(-1, 2)
    )
    return resized.view(len(start), size, *frames.shape[1:])
