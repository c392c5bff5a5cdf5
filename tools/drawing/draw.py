"""Skeletons as pictures: one projection, one way to draw a body, pictures in rows.

Clips are (T, M, V, C) = frames, bodies, joints, xyz in metres, y up, as Kinect v2 and the store
have them. A body is absent where all its joints are zero, a joint where its three coordinates are;
only the spine's middle, which preparing puts at zero, is there whenever its body is.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont  # pillow comes with torchvision, which draws with it
from torch import Tensor
from torchvision.utils import draw_keypoints, make_grid

from net.modalities import JOINTS, PARENTS, bone, motion

BODY_COLOURS = ((31, 95, 191), (217, 95, 14), (110, 110, 110), (150, 150, 150))
PAPER, INK, FLOOR = (255, 255, 255), (70, 70, 70), (196, 196, 190)
YAW, PITCH = 20.0, 12.0  # degrees, from where one looks: a little aside and above
MARGIN = 0.1  # of the picture, on each side
TILE = 0.5  # metres between the lines of the floor
MOTION_GAIN = 4.0  # a motion's arrow shows where its joint would be so many frames later
APART = 1.2  # metres between bodies that are rebuilt from their bones, each about its own centre
SUPERSAMPLE = 3  # torchvision draws without antialiasing, so large, and is then averaged

SPINE_MIDDLE, CENTRE = 1, 20
BONES = [(joint, parent) for joint, parent in enumerate(PARENTS) if joint != parent]

# Seen from a Kinect the axes grow leftwards, upwards and away.
_YAW, _PITCH = np.deg2rad([YAW, PITCH])
RIGHT = torch.tensor([-np.cos(_YAW), 0.0, np.sin(_YAW)])
UP = torch.tensor([np.sin(_YAW) * np.sin(_PITCH), np.cos(_PITCH), np.cos(_YAW) * np.sin(_PITCH)])


class Scene(NamedTuple):
    """What is drawn of a clip.

    joints: (T, M, V, C) where they stand; visible: (T, M, V) bool; tips: (T, M, V, C) of the arrows
    that begin at them, or None.
    """

    joints: Tensor
    visible: Tensor
    tips: Tensor | None = None


class View(NamedTuple):
    """A parallel projection onto a square picture, with equal axes.

    size: pixels; scale: pixels a metre; origin: (2,) the pixel of the point zero; ground:
    (3, size, size) the picture of the floor.
    """

    size: int
    scale: float
    origin: Tensor
    ground: Tensor


def scene(clip: Tensor, modality: str = "joint") -> Scene:
    """A clip (T, M, V, C) of coordinates as one of its modalities shows it.

    joint: the bodies. bone: bodies rebuilt by adding up the bones from the centre, side by side.
    motion: the bodies with an arrow at each joint, MOTION_GAIN times its motion.
    """
    there = (clip != 0).any(-1)  # (T, M, V)
    there[..., SPINE_MIDDLE] = there.any(-1)
    if modality == "bone":
        rebuilt = add_up(bone(clip))
        shift = APART * torch.arange(clip.shape[1]).view(-1, 1, 1) * torch.tensor([1.0, 0, 0])
        return Scene(rebuilt + shift, there)
    if modality == "motion":
        steps = motion(clip.flatten(1)).view_as(clip)
        return Scene(clip, there, clip + MOTION_GAIN * steps)
    return Scene(clip, there)


def add_up(bones: Tensor) -> Tensor:
    """Bodies from their bones, the centre at zero: (..., V, C) -> (..., V, C)."""
    joints = torch.zeros_like(bones)
    for joint in range(JOINTS):
        at = joint
        while at != CENTRE:
            joints[..., joint, :] += bones[..., at, :]
            at = PARENTS[at]
    return joints


def project(points: Tensor, view: View) -> Tensor:
    """Pixels (x to the right, y down) of points in metres: (..., 3) -> (..., 2)."""
    plane = torch.stack([points @ RIGHT.to(points), -points @ UP.to(points)], -1)
    return view.origin.to(points) + view.scale * plane


def fit(scenes: list[Scene], size: int, *, floor: bool = True) -> View:
    """The view that shows all bodies of some scenes as large as it can.

    Arrows may reach out of it: where a body comes or goes, they are as long as it is far.
    """
    points = torch.cat([scene.joints[scene.visible] for scene in scenes])
    points = points if len(points) else torch.zeros(1, 3)
    paper = torch.tensor(PAPER).view(3, 1, 1).expand(3, size, size).float()
    flat = project(points, View(size, 1.0, torch.zeros(2), paper))  # in metres
    low, high = flat.min(0).values, flat.max(0).values
    scale = size * (1 - 2 * MARGIN) / max((high - low).max().item(), 0.5)
    view = View(size, scale, size / 2 - scale * (low + high) / 2, paper)
    if not floor:
        return view
    ends = project(floor_lines(points), view)
    return view._replace(ground=_paint(paper, FLOOR, ends, [(0, 1)], radius=0, width=1))


def floor_lines(points: Tensor) -> Tensor:
    """Lines of a grid at the height of the lowest of points (n, 3), under them all: (K, 2, 3)."""
    low = torch.floor(points.min(0).values / TILE) * TILE
    high = torch.ceil(points.max(0).values / TILE) * TILE
    x, z = (torch.arange(low[i], high[i] + TILE / 2, TILE) for i in (0, 2))
    along_z = [[(a, z[0]), (a, z[-1])] for a in x]
    along_x = [[(x[0], a), (x[-1], a)] for a in z]
    ends = torch.tensor(along_z + along_x)  # (K, 2, 2)
    height = points[:, 1].min().expand(ends.shape[:2])
    return torch.stack([ends[..., 0], height, ends[..., 1]], -1)


def draw(scene: Scene, frame: int, view: View) -> Tensor:
    """One frame of a scene on its floor: (3, size, size) uint8."""
    canvas = view.ground
    thick = max(1, round(view.size * SUPERSAMPLE / 110))
    for body, colour in zip(range(scene.joints.shape[1]), BODY_COLOURS, strict=False):
        joints, seen = scene.joints[frame, body], scene.visible[frame, body]
        if not seen.any():
            continue
        at = project(joints, view)
        arrows = scene.tips is not None
        pale = tuple((c + 2 * 255) // 3 for c in colour) if arrows else colour
        canvas = _paint(canvas, pale, at[None], BONES, thick, thick, seen[None])
        if arrows:
            ends = torch.stack([at, project(scene.tips[frame, body], view)], 1)  # (V, 2, 2)
            both = seen[:, None].expand(-1, 2)
            canvas = _paint(canvas, colour, ends, [(0, 1)], 0, thick, both)
            canvas = _paint(canvas, colour, ends[:, 1:], [], thick, thick, both[:, 1:])
    return canvas.round().to(torch.uint8)


def _paint(canvas, colour, points, connectivity, radius, width, visible=None) -> Tensor:
    """Paint points (N, K, 2) and the lines between them over a canvas (3, H, W), antialiased."""
    height, wide = canvas.shape[1:]
    blank = torch.zeros(3, height * SUPERSAMPLE, wide * SUPERSAMPLE, dtype=torch.uint8)
    limit = 4 * SUPERSAMPLE * max(height, wide)  # what is far outside stays drawable
    points = (points * SUPERSAMPLE).clamp(-limit, limit)
    # Lines come out white whatever the colour, so white it is: a mask, painted with afterwards.
    drawn = draw_keypoints(blank, points, connectivity, "white", radius, width, visible)
    mask = F.avg_pool2d(drawn[:1].float() / 255, SUPERSAMPLE)  # (1, H, W)
    return canvas.lerp(torch.tensor(colour).view(3, 1, 1).float(), mask)


def write(picture: Tensor, text: str, *, size: int | None = None, below: bool = False) -> Tensor:
    """A picture (3, H, W) uint8 with a line of text in its upper or lower left corner."""
    image = Image.fromarray(picture.permute(1, 2, 0).numpy())
    size = size or max(10, picture.shape[1] // 18)
    at = (size // 2, picture.shape[1] - size // 2 if below else size // 2)
    font = ImageFont.load_default(size)
    ImageDraw.Draw(image).text(at, text, INK, font, anchor="ld" if below else "la")
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def rows(pictures: list[list[Tensor]]) -> Tensor:
    """Rows of equally many pictures of one size as one picture (3, H, W) uint8."""
    flat = torch.stack([picture for row in pictures for picture in row])
    return make_grid(flat, nrow=len(pictures[0]), padding=2, pad_value=238)


def evenly(total: int, wanted: int) -> list[int]:
    """At most `wanted` of `total` frames, evenly spread, the first and the last among them."""
    return np.linspace(0, total - 1, min(total, wanted)).round().astype(int).tolist()


def to_image(picture: Tensor) -> Image.Image:
    """A picture (3, H, W) uint8 as an image that can be saved."""
    return Image.fromarray(picture.permute(1, 2, 0).numpy())
