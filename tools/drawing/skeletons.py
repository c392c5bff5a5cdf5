"""Skeletons as pictures: what a modality shows of a clip, projected and drawn by matplotlib.

Clips are (T, M, V, C) = frames, bodies, joints, xyz in metres, y up. A joint at zero or NaN is
absent, but the main body's joint that preparation moves to the origin is present if the body is.
"""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from feeder.augment import Strengths, augmented_views, uniform_draws
from feeder.batches import VIEWS, Clips
from feeder.skeletons import KINECT_V2, Skeleton
from net import MODALITIES

BODY_COLORS = ("#1f5fbf", "#d95f0e", "#6e6e6e", "#969696")
MOTION_GAIN = 4.0  # length of a motion's arrow in steps of one frame
APART = 0.7  # metres between the points from which the bones of two bodies start
MARGIN = 0.1  # of a picture's side
VIEW_IMAGES, VIEW_SIZE = 3, 120  # of a view in `views_image`: frames, and pixels of each
YAW, PITCH = np.deg2rad([20.0, 12.0])  # the viewer stands a little to the side and above

# Seen from a Kinect, x points to the left, y up and z away.
RIGHT = -np.cos(YAW), 0, np.sin(YAW)
UP = np.sin(YAW) * np.sin(PITCH), np.cos(PITCH), np.cos(YAW) * np.sin(PITCH)
PROJECTION = np.array([RIGHT, UP])


class Scene(NamedTuple):
    """What is drawn of a clip; xyz in metres or, after `fit`, positions in the unit square, y up.
    NaN where a joint is absent.
    """

    lines: np.ndarray  # (T, M, L, 2, 3), from one end to the other
    dots: np.ndarray  # (T, M, D, 3)
    body: np.ndarray  # (T, M, L, 2, 3), drawn pale behind the lines, or (T, M, 0, 2, 3)


def scene(clip: np.ndarray, modality: str = "joint", skeleton: Skeleton = KINECT_V2) -> Scene:
    """A clip (T, M, V, C) as one modality shows it. Joint: the bodies; bone: each bone as an arrow
    from one point; motion: the bodies, with an arrow of MOTION_GAIN frames at each joint.
    """
    clip = np.asarray(clip)
    there = (clip != 0).any(-1)  # (T, M, V)
    present = there.any(-1, keepdims=True)  # (T, M, 1)
    if len(skeleton.origin) == 1:
        there[:, 0, skeleton.origin] = present[:, 0]
    joints = np.where(there[..., None], clip, np.nan)
    bodies = joints[:, :, np.array(skeleton.bones)]  # (T, M, V - 1, 2, 3)
    if modality == "joint":
        return Scene(bodies, joints, bodies[:, :, :0])
    if modality == "motion":
        tips = joints + MOTION_GAIN * np.diff(clip, axis=0, append=clip[-1:])
        return Scene(np.stack([joints, tips], -2), tips, bodies)
    starts = np.zeros_like(clip)
    starts[..., 0] = APART * np.arange(clip.shape[1])[:, None]
    starts[~np.broadcast_to(present, there.shape)] = np.nan
    tips = starts + clip - clip[:, :, list(skeleton.parents)]
    return Scene(np.stack([starts, tips], -2), tips, bodies[:, :, :0])


def fit(*scenes: Scene) -> list[Scene]:
    """Project scenes onto the unit square, at one scale and as large as their joints allow; arrows
    of motion may leave it.
    """
    flat = [Scene(*(part @ PROJECTION.T for part in one)) for one in scenes]
    parts = [one.body if one.body.size else one.dots for one in flat]
    points = np.concatenate([part.reshape(-1, 2) for part in parts])
    points = points[~np.isnan(points).any(1)]
    low, high = (points.min(0), points.max(0)) if len(points) else (np.zeros(2), np.zeros(2))
    scale = (1 - 2 * MARGIN) / max((high - low).max(), 0.5)
    return [Scene(*(0.5 + scale * (part - (low + high) / 2) for part in one)) for one in flat]


def picture(rows: Sequence[Sequence[tuple[Scene, int, str]]], size: int) -> np.ndarray:
    """Draw rows of (fitted scene, frame, text), `size` pixels each: an image (H, W, 3) uint8."""
    figure = Figure((len(rows[0]), len(rows)), dpi=size)  # a square is an inch
    everything = {"left": 0, "right": 1, "bottom": 0, "top": 1, "wspace": 0, "hspace": 0}
    square = {"xlim": (0, 1), "ylim": (0, 1), "xticks": [], "yticks": []}
    shape, options = (len(rows), len(rows[0])), {"subplot_kw": square, "gridspec_kw": everything}
    grid = figure.subplots(*shape, squeeze=False, **options)
    for axes, (one, frame, text) in zip(grid.flat, chain(*rows), strict=True):
        axes.spines[:].set(color="#e2e2e2", linewidth=0.5)
        axes.text(0.04, 0.96, text, color="#464646", fontsize=4.5, va="top", parse_math=False)
        for body in range(one.lines.shape[1]):
            style = {"color": BODY_COLORS[body % len(BODY_COLORS)], "linewidth": 0.65}
            axes.add_collection(LineCollection(one.body[frame, body], alpha=0.35, **style))
            axes.add_collection(LineCollection(one.lines[frame, body], **style))
            axes.plot(*one.dots[frame, body].T, ".", color=style["color"], ms=2, mew=0)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def evenly(total: int, wanted: int) -> list[int]:
    """At most `wanted` of `total` frames, evenly spread; the first and the last are among them."""
    return np.linspace(0, total - 1, min(total, wanted)).round().astype(int).tolist()


def augmented(
    clips: Clips, rng: np.random.Generator, strengths: Strengths, views: int = VIEWS
) -> tuple[np.ndarray, np.ndarray]:
    """n clips as evaluation takes them (n, 64, M, V, C), and augmented (views, n, 64, M, V, C)."""
    shape, joints = (views, len(clips.start)), clips.frames.shape[2]
    uniform = torch.from_numpy(uniform_draws(rng, shape, joints, strengths))
    return clips.resized().numpy(), augmented_views(*clips, uniform, strengths).numpy()


def view_scenes(views: np.ndarray, skeleton: Skeleton) -> dict[str, Scene]:
    """The augmented views (K, T, M, V, C) of a clip by name, each as its modality shows it: of four
    or more the first three are joint, bone and motion; all others are fused.
    """
    own = MODALITIES if len(views) > len(MODALITIES) else ()
    shown = [(name, f"{name} view") for name in own]
    fused = len(views) - len(own)
    shown += [("joint", f"fused view {k + 1}" if fused > 1 else "fused view") for k in range(fused)]
    scenes = zip(shown, views, strict=True)
    return {name: scene(view, modality, skeleton) for (modality, name), view in scenes}


def views_image(
    clips: Sequence[tuple[str, np.ndarray, np.ndarray]], skeleton: Skeleton
) -> np.ndarray:
    """An image (H, W, 3) uint8: a row of (name, whole clip (T, M, V, C), views (K, T, M, V, C)) has
    the clip, then its views, all at one scale.
    """
    rows = []
    for name, whole, views in clips:
        scenes = {name: scene(whole, skeleton=skeleton)} | view_scenes(views, skeleton)
        row = []
        for title, one in zip(scenes, fit(*scenes.values()), strict=True):
            row += [(one, t, "" if t else title) for t in evenly(len(one.lines), VIEW_IMAGES)]
        rows.append(row)
    return picture(rows, VIEW_SIZE)
