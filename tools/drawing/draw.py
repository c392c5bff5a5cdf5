"""Draw a scene as a picture: the projection, the bodies and the arrows."""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.utils import draw_keypoints

from tools.drawing.scenes import Scene

BODY_COLORS = ((31, 95, 191), (217, 95, 14), (110, 110, 110), (150, 150, 150))
PAPER, INK, FLOOR = (255, 255, 255), (70, 70, 70), (196, 196, 190)
YAW, PITCH = 20.0, 12.0  # degrees: the viewer is a little to the side and above
MARGIN = 0.1  # share of the picture, on each side
TILE = 0.5  # metres between the lines of the floor
SUPERSAMPLE = 3  # torchvision has no antialiasing: draw this many times larger, then average

# Seen from a Kinect the axes point to the left, up, and away from it.
_YAW, _PITCH = np.deg2rad([YAW, PITCH])
RIGHT = torch.tensor([-np.cos(_YAW), 0.0, np.sin(_YAW)])
UP = torch.tensor([np.sin(_YAW) * np.sin(_PITCH), np.cos(_PITCH), np.cos(_YAW) * np.sin(_PITCH)])


class View(NamedTuple):
    """A parallel projection onto a square picture, with equal axes.

    size: pixels.
    scale: pixels of a metre.
    origin: (2,) the pixel of the point zero.
    ground: (3, size, size) float, the paper, and the floor if there is one.
    """

    size: int
    scale: float
    origin: Tensor
    ground: Tensor


def project(points: Tensor, view: View) -> Tensor:
    """Pixels (..., 2), x to the right and y down, of points (..., 3) in metres."""
    plane = torch.stack([points @ RIGHT.to(points), -points @ UP.to(points)], -1)
    return view.origin.to(points) + view.scale * plane


def fit(scenes: list[Scene], size: int, *, floor: bool = False) -> View:
    """The view in which some scenes are as large as the picture allows.

    size: pixels.
    floor: whether to draw a floor. Only a raw recording stands on one: preparing turns the line of
        the shoulders onto the x axis, and the direction of gravity with it.
    """
    points = torch.cat([scene.extent() for scene in scenes])
    points = points if len(points) else torch.zeros(1, 3)
    paper = torch.tensor(PAPER).view(3, 1, 1).expand(3, size, size).float()
    flat = project(points, View(size, 1.0, torch.zeros(2), paper))  # metres, since scale is 1
    low, high = flat.min(0).values, flat.max(0).values
    scale = size * (1 - 2 * MARGIN) / max((high - low).max().item(), 0.5)
    view = View(size, scale, size / 2 - scale * (low + high) / 2, paper)
    if not (floor and all(scene.bodies for scene in scenes)):
        return view
    ends = project(floor_lines(points), view)
    return view._replace(ground=_paint(paper, FLOOR, ends, [(0, 1)], radius=0, width=1))


def floor_lines(points: Tensor) -> Tensor:
    """Lines (K, 2, 3) of a grid below points (n, 3), at the height of the lowest point."""
    low = torch.floor(points.min(0).values / TILE) * TILE
    high = torch.ceil(points.max(0).values / TILE) * TILE
    x, z = (torch.arange(low[i], high[i] + TILE / 2, TILE) for i in (0, 2))
    along_z = [[(a, z[0]), (a, z[-1])] for a in x]
    along_x = [[(x[0], a), (x[-1], a)] for a in z]
    ends = torch.tensor(along_z + along_x)  # (K, 2, 2)
    height = points[:, 1].min().expand(ends.shape[:2])
    return torch.stack([ends[..., 0], height, ends[..., 1]], -1)


def draw(scene: Scene, frame: int, view: View) -> Tensor:
    """Draw one frame of a scene: (3, size, size) uint8. Each body has a color of its own."""
    canvas = view.ground
    thick = max(1, round(view.size * SUPERSAMPLE / 110))
    for body, seen in enumerate(scene.visible[frame]):  # (V,) bool
        if not seen.any():
            continue
        color = BODY_COLORS[body % len(BODY_COLORS)]
        at = project(scene.joints[frame, body], view)  # (V, 2)
        if scene.bodies:
            pale = color if scene.tips is None else tuple((c + 2 * 255) // 3 for c in color)
            canvas = _paint(canvas, pale, at[None], scene.skeleton.bones, thick, thick, seen[None])
        if scene.tips is not None:
            ends = torch.stack([at, project(scene.tips[frame, body], view)], 1)  # (V, 2, 2)
            both = seen[:, None].expand(-1, 2)
            canvas = _paint(canvas, color, ends, [(0, 1)], 0, thick, both)
            canvas = _paint(canvas, color, ends[:, 1:], [], thick, thick, both[:, 1:])
    return canvas.round().to(torch.uint8)


def _paint(canvas, color, points, connectivity, radius, width, visible=None) -> Tensor:
    """Paint points (N, K, 2) and lines between them over a canvas (3, H, W), with antialiasing."""
    height, wide = canvas.shape[1:]
    blank = torch.zeros(3, height * SUPERSAMPLE, wide * SUPERSAMPLE, dtype=torch.uint8)
    limit = 4 * SUPERSAMPLE * max(height, wide)  # torchvision cannot draw points far outside
    points = (points * SUPERSAMPLE).clamp(-limit, limit)
    # torchvision draws lines white in any color. So draw a white mask, then paint through it.
    drawn = draw_keypoints(blank, points, connectivity, "white", radius, width, visible)
    mask = F.avg_pool2d(drawn[:1].float() / 255, SUPERSAMPLE)  # (1, H, W)
    return canvas.lerp(torch.tensor(color).view(3, 1, 1).float(), mask)
