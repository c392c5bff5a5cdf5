"""Joint, bone and motion: three descriptions of the same moving bodies, and their tokens.

The axes of coordinates are named (T, M, V, C) = (frames, bodies, joints, xyz).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from feeder.augment import VIEW_FRAMES
from feeder.skeletons import KINECT_V2, Skeleton
from net import MODALITIES

CHANNELS = 3  # x, y and z
SPATIAL_TOKEN = VIEW_FRAMES * CHANNELS  # 192 numbers: the path of one joint of one body


class Tokens(NamedTuple):
    """One modality of B clips, as the two sequences of tokens that the encoder reads.

    temporal: (B, T, M·V·C), one token for each frame, ordered (body, joint, xyz)
    spatial: (B, M·V, T·C), one token for each joint of each body, ordered (frame, xyz)
    """

    temporal: Tensor
    spatial: Tensor


def bone(joints: Tensor, skeleton: Skeleton = KINECT_V2) -> Tensor:
    """Each joint minus its neighbor towards the body's center: (..., V, any) -> the same shape."""
    # Slices, not a list as index: a list would be copied to the GPU, which has to wait for it.
    parents = torch.stack([joints[..., parent, :] for parent in skeleton.parents], dim=-2)
    return joints - parents


def motion(frames: Tensor) -> Tensor:
    """The next frame minus this frame, zero in the last frame: (..., T, any) -> the same shape."""
    return torch.cat([frames[..., 1:, :], frames[..., -1:, :]], dim=-2).sub_(frames)


def derive(
    joints: Tensor, modalities: tuple[str, ...] = MODALITIES, skeleton: Skeleton = KINECT_V2
) -> dict[str, Tokens]:
    """The tokens of some modalities of B clips.

    joints: (B, T, M, V, C) coordinates in metres
    modalities: some of "joint", "bone", "motion"
    skeleton: tells the bones between the V joints
    Returns {modality: its tokens}, in the order of `modalities`.
    """
    view = {}
    if "joint" in modalities or "bone" in modalities:
        paths = _paths(joints)
        view["joint"] = Tokens(joints.flatten(2), paths.flatten(1, 2))
    if "bone" in modalities:
        bones = bone(paths, skeleton)  # paths are long rows, which memory moves fast
        frames = bones.unflatten(-1, (-1, CHANNELS)).permute(0, 3, 1, 2, 4)  # (B, T, M, V, C)
        view["bone"] = Tokens(frames.flatten(2), bones.flatten(1, 2))
    if "motion" in modalities:
        steps = motion(joints.flatten(2))
        view["motion"] = Tokens(steps, _paths(steps.view_as(joints)).flatten(1, 2))
    return {modality: view[modality] for modality in modalities}


def _paths(frames: Tensor) -> Tensor:
    """(B, T, M, V, C) -> (B, M, V, T·C)."""
    return frames.permute(0, 2, 3, 1, 4).flatten(3)
