"""Augmented views of clips, as scenes to draw."""

from collections.abc import Sequence

import numpy as np
import torch

from feeder.augment import Strengths, uniform_draws
from feeder.batches import VIEWS, Batch, Clips
from feeder.skeletons import Skeleton
from net import MODALITIES
from tools.drawing.skeletons import Scene, evenly, fit, picture, scene

FRAMES, SIZE = 3, 120  # frames of each view in the monitor's image, and pixels of each frame


def augmented(clip: np.ndarray, seed: int, strengths: Strengths) -> tuple[np.ndarray, np.ndarray]:
    """A clip resized as for evaluation (64, M, V, C), and its augmented views (4, 64, M, V, C)."""
    uniform = uniform_draws(np.random.default_rng(seed), (VIEWS, 1), clip.shape[-2], strengths)
    frames = torch.from_numpy(np.array(clip))
    clips = Clips(frames, torch.tensor([0]), torch.tensor([len(clip)]))
    batch = Batch(clips, torch.from_numpy(uniform), 0, np.array([0]), [1], strengths)
    return clips.resized()[0].numpy(), batch.views()[:, 0].numpy()


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
            row += [(one, t, "" if t else title) for t in evenly(len(one.lines), FRAMES)]
        rows.append(row)
    return picture(rows, SIZE)
