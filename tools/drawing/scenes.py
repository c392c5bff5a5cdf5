"""What is drawn of a clip: its bodies, as a modality shows them, and its augmented views.

Clips are (T, M, V, C) = frames, bodies, joints, xyz in metres, y up, as a Kinect and the store have
them. A body is absent if all its joints are zero. A joint is absent if its three coordinates are
zero; the joint that preparing moves to zero is an exception: it is present if its body is.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from feeder.augment import uniform_draws
from feeder.batches import VIEWS, Batch, Clips
from feeder.skeletons import KINECT_V2, Skeleton
from feeder.strengths import PUBLISHED, Strengths
from net.modalities import MODALITIES, bone, motion

MOTION_GAIN = 4.0  # the arrow of a motion is this many times as long as the motion of a frame
APART = 0.7  # metres between the points from which the bones of two bodies start

# The modalities that the network gets of each augmented view.
VIEW_NAMES = ("joint view", "bone view", "motion view", "fused view")
VIEW_MODALITIES = (*MODALITIES, "joint")


class Scene(NamedTuple):
    """What is drawn of a clip: bodies, arrows, or both.

    joints: (T, M, V, C), positions of the joints, or the starts of the arrows.
    visible: (T, M, V) bool.
    tips: (T, M, V, C), the ends of the arrows, or None.
    bodies: whether the bodies are drawn.
    skeleton: of the V joints.
    """

    joints: Tensor
    visible: Tensor
    tips: Tensor | None = None
    bodies: bool = True
    skeleton: Skeleton = KINECT_V2

    def extent(self) -> Tensor:
        """The points (n, C) that a picture of all frames must show.

        If bodies are drawn, these are the joints; arrows may leave the picture, since a body that
        appears or disappears has arrows as long as its distance from zero.
        """
        return (self.joints if self.bodies else self.tips)[self.visible]


def scene(clip: Tensor, modality: str = "joint", skeleton: Skeleton = KINECT_V2) -> Scene:
    """A clip (T, M, V, C) as one of its modalities shows it.

    modality: `joint`: the bodies. `bone`: each bone of a body as an arrow from one point, since
        this modality has directions and lengths but no positions. `motion`: the bodies, with an
        arrow of MOTION_GAIN times the motion at each joint.
    """
    there = (clip != 0).any(-1)  # (T, M, V)
    body = there.any(-1)  # (T, M)
    if modality == "bone":
        starts = APART * torch.arange(clip.shape[1]).view(-1, 1, 1) * torch.tensor([1.0, 0, 0])
        starts = starts.expand_as(clip)
        tips = starts + bone(clip, skeleton)
        return Scene(starts, body[..., None].expand_as(there), tips, False, skeleton)
    if len(skeleton.origin) == 1:
        there[..., skeleton.origin[0]] = body
    if modality == "motion":
        steps = motion(clip.flatten(1)).view_as(clip)
        return Scene(clip, there, clip + MOTION_GAIN * steps, skeleton=skeleton)
    return Scene(clip, there, skeleton=skeleton)


def of_modalities(
    clip: Tensor, modalities: Sequence[str], skeleton: Skeleton = KINECT_V2
) -> dict[str, Scene]:
    """A clip (T, M, V, C) as several modalities show it, by their names."""
    return {modality: scene(clip, modality, skeleton) for modality in modalities}


def of_augmentation(
    clip: Tensor, seed: int, skeleton: Skeleton = KINECT_V2, strengths: Strengths = PUBLISHED
) -> dict[str, Scene]:
    """A clip (T, M, V, C) whole, resized as for the evaluation, and its four augmented views."""
    rng = np.random.default_rng(seed)
    uniform = torch.from_numpy(uniform_draws(rng, (VIEWS, 1), clip.shape[-2], strengths))
    clips = Clips(clip, torch.tensor([0]), torch.tensor([len(clip)]))
    batch = Batch(clips, uniform, step=0, rows=np.array([0]), shares=[1], strengths=strengths)
    views = batch.views()
    whole = scene(clips.resized()[0], skeleton=skeleton)
    return {"whole clip": whole} | of_views(views[:, 0], skeleton)


def of_views(views: Tensor, skeleton: Skeleton = KINECT_V2) -> dict[str, Scene]:
    """The four augmented views (4, T, M, V, C) of a clip, each as its modality shows it."""
    pairs = zip(VIEW_NAMES, views, VIEW_MODALITIES, strict=True)
    return {name: scene(view, modality, skeleton) for name, view, modality in pairs}
