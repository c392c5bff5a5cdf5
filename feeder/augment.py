"""Views of clips: temporal crop and resize, shear, joint corruption, rotation; on any device.

Clips lie packed: `frames` (F, M, V, C) holds the frames of many clips one after another, and a clip
is (start, length). A whole data set and a single batch are the same to these functions.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from feeder.strengths import PUBLISHED, Strengths

VIEW_FRAMES = 64

# Uniform draws of one view of one clip: crop scale and start, which kind of augmentation, whether
# corruption zeroes, a 3×3 matrix, and as many as there are joints, whose order is a permutation.
_SCALE, _START, _KIND, _ZERO, _MATRIX, _ORDER = 0, 1, 2, 3, slice(4, 13), 13
_ANGLES = 3  # a rotation's own draws, which come last and only where views are rotated


class Augmentation(NamedTuple):
    """What is done to each of N views of clips.

    start, length: (N,) int64, the crop in frames, `start` counted in the packed frames;
    matrix: (N, V, C, C), by which each joint's position (a row) is multiplied.
    """

    start: Tensor
    length: Tensor
    matrix: Tensor


def uniform_draws(
    rng: np.random.Generator, views: tuple[int, ...], joints: int, strengths: Strengths = PUBLISHED
) -> np.ndarray:
    """The uniform draws of views of clips whose bodies have so many joints.

    views: their shape, such as (4, N) -> (4, N, draws) float32 in [0, 1). Rotation draws after all
    others, so that they are the same with and without it.
    """
    uniform = rng.random((*views, _ORDER + joints), dtype=np.float32)
    if not strengths.rotates:
        return uniform
    return np.concatenate([uniform, rng.random((*views, _ANGLES), dtype=np.float32)], axis=-1)


def resize(frames: Tensor, start: Tensor, length: Tensor, size: int = VIEW_FRAMES) -> Tensor:
    """Crops of packed clips, resized in time by linear interpolation (align_corners False).

    frames: (F, M, V, C); start, length: (N,) int64 -> (N, size, M, V, C). The same values as
    `torch.nn.functional.interpolate(mode="linear")` over each crop, without padding.
    """
    step = torch.arange(size, device=frames.device, dtype=frames.dtype) + 0.5  # (size,)
    scale = length[:, None].to(frames.dtype) / size
    position = (step * scale - 0.5).clamp_(min=0)  # (N, size)
    before = position.long()
    after = torch.minimum(before + 1, length[:, None] - 1)
    weight = position - before
    # Each frame is the weighted sum of two rows: a "bag", which takes one pass over the memory.
    rows = torch.stack([before, after], -1) + start[:, None, None]  # (N, size, 2)
    weights = torch.stack([1 - weight, weight], -1)
    resized = F.embedding_bag(
        rows.view(-1, 2), frames.flatten(1), mode="sum", per_sample_weights=weights.view(-1, 2)
    )
    return resized.view(len(start), size, *frames.shape[1:])


def transform(views: Tensor, matrix: Tensor, out: Tensor | None = None) -> Tensor:
    """Multiply each joint's position, a row, by its matrix.

    views: (N, T, M, V, C); matrix: (N, V, C, C), or (N, 1, C, C) for all joints -> (N, T, M, V, C),
    written to `out` if it is given (contiguous).
    """
    n, _, _, joints, channels = views.shape
    # One product a view, by a matrix with those of the joints along its diagonal, is far faster
    # than many of 3×3.
    block = views.new_zeros(n, joints, channels, joints, channels)
    block.diagonal(dim1=1, dim2=3).copy_(matrix.permute(0, 2, 3, 1))
    moved = torch.bmm(*map(_rows, (views, block)), out=None if out is None else _rows(out))
    return moved.view_as(views)


def _rows(x: Tensor) -> Tensor:
    """(N, a, b, V, C) -> (N, a·b, V·C)."""
    return x.flatten(3).flatten(1, 2)


def shear(values: Tensor) -> Tensor:
    """Shear of all joints: values (N, C, C) in [-1, 1] -> (N, 1, C, C).

    The shear maps a point p, a column, to matrix · p, with ones on the diagonal.
    """
    matrix = values.mT.clone()
    matrix.diagonal(dim1=-2, dim2=-1).fill_(1)
    return matrix[:, None]


def corruption(joints: Tensor, values: Tensor) -> Tensor:
    """Corruption of some joints: joints (N, V) bool, values (N, C, C) -> (N, V, C, C).

    A corrupted joint's position p, a row, becomes p · values; the others stay.
    """
    identity = torch.eye(3, device=values.device)
    return torch.where(joints[..., None, None], values[:, None], identity)


def rotation(angles: Tensor) -> Tensor:
    """Rotation of all joints: angles (N, 3) in radians, about x, y and z -> (N, 1, C, C).

    A joint's position p, a row, becomes p · matrix: about y (the vertical axis) first, then about
    x, then about z.
    """
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


def augmentation(
    uniform: Tensor, start: Tensor, length: Tensor, strengths: Strengths = PUBLISHED
) -> Augmentation:
    """The augmentation of N views that N rows of uniform draws stand for.

    uniform: (N, draws) float32 in [0, 1), draws of V joints; start, length: (N,) int64, whole
    clips. At most one of shear and corruption; corruption multiplies or zeroes.
    """
    scale = strengths.shortest_crop + (1 - strengths.shortest_crop) * uniform[:, _SCALE]
    cropped = (length * scale).long().clamp(min=strengths.fewest_frames).minimum(length)
    room = length - cropped
    offset = (uniform[:, _START] * (room + 1)).long().minimum(room)

    values = uniform[:, _MATRIX].view(-1, 3, 3) * 2 - 1
    # One draw is for all three kinds: shear below a threshold, nothing above another one.
    kind, zeroed = uniform[:, _KIND], uniform[:, _ZERO] < strengths.zero_probability
    changed = kind < strengths.spatial_probability
    sheared = kind < strengths.spatial_probability * strengths.shear_probability
    last = -_ANGLES if strengths.rotates else None
    order = uniform[:, _ORDER:last].argsort(dim=1, stable=True)  # (N, V)
    corrupted = order < round(strengths.corrupted_joints * order.shape[1])
    kept = values * ~zeroed.view(-1, 1, 1)
    matrix = torch.where(
        sheared.view(-1, 1, 1, 1),
        shear(values * strengths.shear_amplitude),
        corruption(corrupted & changed[:, None], kept),
    )
    if strengths.rotates:
        drawn = (uniform[:, last:] * 2 - 1).unbind(1)
        greatest = map(math.radians, strengths.angles)  # numbers, for which a GPU does not wait
        pairs = zip(drawn, greatest, strict=True)
        matrix = matrix @ rotation(torch.stack([part * most for part, most in pairs], 1))
    return Augmentation(start + offset, cropped, matrix)


def augment(frames: Tensor, augmentation: Augmentation, out: Tensor | None = None) -> Tensor:
    """N augmented views (N, T, M, V, C) of packed clips (F, M, V, C); out: where to write them."""
    cropped = resize(frames, augmentation.start, augmentation.length)
    return transform(cropped, augmentation.matrix, out)
