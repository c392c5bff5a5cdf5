"""Skeletons as pictures: what a modality shows of a clip, projected and drawn by matplotlib.

Clips are (T, M, V, C) = frames, bodies, joints, xyz in metres, y up, as a Kinect and a store have
them. A body is absent where all its joints are zero, a joint where its coordinates are zero; the
joint that preparation moves to the origin is present if its body is.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from feeder.skeletons import KINECT_V2, Skeleton

BODY_COLORS = ("#1f5fbf", "#d95f0e", "#6e6e6e", "#969696")
INK, FLOOR = "#464646", "#c4c4be"
MOTION_GAIN = 4.0  # length of a motion's arrow in steps of one frame
APART = 0.7  # metres between the points from which the bones of two bodies start
TILE = 0.5  # metres between the lines of the floor
MARGIN = 0.1  # of a picture's side
YAW, PITCH = 20.0, 12.0  # degrees: the viewer stands a little to the side and above

# Seen from a Kinect, x points to the left, y up and z away. Rows: right and up in the picture.
_yaw, _pitch = np.deg2rad([YAW, PITCH])
PROJECTION = np.array(
    [
        [-np.cos(_yaw), 0, np.sin(_yaw)],
        [np.sin(_yaw) * np.sin(_pitch), np.cos(_pitch), np.cos(_yaw) * np.sin(_pitch)],
    ]
)


class Scene(NamedTuple):
    """What is drawn of a clip. NaN where a joint is absent.

    The last axis has xyz in metres or, after `fit`, positions in the unit square, y up.

    lines: (T, M, L, 2, 3), from one end to the other.
    dots: (T, M, D, 3).
    body: (T, M, L, 2, 3), drawn pale behind the lines, or (T, M, 0, 2, 3).
    floor: (K, 2, 3).
    """

    lines: np.ndarray
    dots: np.ndarray
    body: np.ndarray
    floor: np.ndarray


def scene(
    clip: np.ndarray,
    modality: str = "joint",
    skeleton: Skeleton = KINECT_V2,
    *,
    floor: bool = False,
) -> Scene:
    """A clip (T, M, V, C) as one modality shows it.

    modality: `joint`: the bodies; `bone`: each bone as an arrow from one point, since the modality
        has no positions; `motion`: the bodies, with an arrow of MOTION_GAIN frames at each joint.
    floor: add a floor at the lowest joint. Only a raw recording stands on one: preparation tilts
        bodies when it turns their shoulders onto the x axis.
    """
    clip = np.asarray(clip)
    there = (clip != 0).any(-1)  # (T, M, V)
    present = there.any(-1, keepdims=True)  # (T, M, 1)
    if len(skeleton.origin) == 1:
        there[..., skeleton.origin] = present
    joints = np.where(there[..., None], clip, np.nan)
    bodies = joints[:, :, np.array(skeleton.bones)]  # (T, M, V - 1, 2, 3)
    ground = floor_lines(joints) if floor else np.empty((0, 2, 3))
    if modality == "joint":
        return Scene(bodies, joints, bodies[:, :, :0], ground)
    if modality == "motion":
        tips = joints + MOTION_GAIN * np.diff(clip, axis=0, append=clip[-1:])
        return Scene(np.stack([joints, tips], -2), tips, bodies, ground)
    starts = np.zeros_like(clip)
    starts[..., 0] = APART * np.arange(clip.shape[1])[:, None]
    starts[~np.broadcast_to(present, there.shape)] = np.nan
    tips = starts + clip - clip[:, :, list(skeleton.parents)]
    return Scene(np.stack([starts, tips], -2), tips, bodies[:, :, :0], ground[:0])


def floor_lines(joints: np.ndarray) -> np.ndarray:
    """The lines (K, 2, 3) of a grid at the height of the lowest of (..., 3) joints."""
    points = joints[~np.isnan(joints).any(-1)]
    y = points[:, 1].min()
    x0, _, z0 = np.floor(points.min(0) / TILE) * TILE
    x1, _, z1 = np.ceil(points.max(0) / TILE) * TILE
    along_z = [[(x, y, z0), (x, y, z1)] for x in np.arange(x0, x1 + TILE / 2, TILE)]
    along_x = [[(x0, y, z), (x1, y, z)] for z in np.arange(z0, z1 + TILE / 2, TILE)]
    return np.array(along_z + along_x)


def fit(*scenes: Scene) -> list[Scene]:
    """Project scenes onto the unit square, at one scale and as large as their joints allow.

    Arrows of motion may leave the square: a body that appears moves as far as its distance from 0.
    """
    flat = [Scene(*(part @ PROJECTION.T for part in one)) for one in scenes]
    parts = [one.body if one.body.size else one.dots for one in flat]
    points = np.concatenate([part.reshape(-1, 2) for part in parts])
    points = points[~np.isnan(points).any(1)]
    low, high = (points.min(0), points.max(0)) if len(points) else (np.zeros(2), np.zeros(2))
    scale = (1 - 2 * MARGIN) / max((high - low).max(), 0.5)
    return [Scene(*(0.5 + scale * (part - (low + high) / 2) for part in one)) for one in flat]


def picture(rows: Sequence[Sequence[tuple[Scene, int, str]]], size: int) -> np.ndarray:
    """Draw rows of (fitted scene, frame, text): an image (H, W, 3) uint8.

    size: of each of the squares in pixels.
    """
    height, width = len(rows), max(map(len, rows))
    figure = Figure((width, height), dpi=size)  # a square is an inch, so all widths scale with it
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    for i, row in enumerate(rows):
        for column, (one, frame, text) in enumerate(row):
            corner = np.array([column, height - 1 - i])
            square = axes.add_patch(Rectangle(corner, 1, 1, fill=False, ec="#e2e2e2", lw=0.5))
            _draw(axes, Scene(*(part + corner for part in one)), frame, square)
            at = corner + np.array([0.04, 0.96])
            axes.text(*at, text, color=INK, fontsize=4.5, va="top", clip_on=True, parse_math=False)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _draw(axes, one: Scene, frame: int, square: Rectangle) -> None:
    """Draw one frame of a scene, clipped to a square."""
    drawn = [LineCollection(one.floor, colors=FLOOR, linewidths=0.3)]
    for body in range(one.lines.shape[1]):
        color = BODY_COLORS[body % len(BODY_COLORS)]
        style = {"colors": color, "linewidths": 0.65, "capstyle": "round"}
        drawn.append(LineCollection(one.body[frame, body], alpha=0.35, **style))
        drawn.append(LineCollection(one.lines[frame, body], **style))
        x, y = one.dots[frame, body].T
        dots = Line2D(x, y, linestyle="", marker=".", color=color, markersize=2, mew=0)
        drawn.append(dots)
    for artist in drawn:
        axes.add_artist(artist)
        artist.set_clip_path(square)


def evenly(total: int, wanted: int) -> list[int]:
    """At most `wanted` of `total` frames, evenly spread; the first and the last are among them."""
    return np.linspace(0, total - 1, min(total, wanted)).round().astype(int).tolist()
