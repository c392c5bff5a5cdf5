"""Joint, bone and motion: three ways to write the same moving bodies, and their token sequences.

Axes of coordinates are named (T, M, V, C) = (frames, bodies, joints, xyz).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from net import MODALITIES

FRAMES, BODIES, JOINTS, CHANNELS = 64, 2, 25, 3
TEMPORAL_TOKEN = BODIES * JOINTS * CHANNELS  # 150 values: one frame
SPATIAL_TOKEN = FRAMES * CHANNELS  # 192 values: the path of one joint of one body

# The neighbour of each of the 25 joints towards the centre of the body, both counted from 1 as in
# the NTU RGB+D paper (Shahroudy et al., CVPR 2016). The centre, 21, is its own.
BONES = {
    1: 2, 2: 21, 3: 21, 4: 3, 5: 21, 6: 5, 7: 6, 8: 7, 9: 21, 10: 9, 11: 10, 12: 11, 13: 1,
    14: 13, 15: 14, 16: 15, 17: 1, 18: 17, 19: 18, 20: 19, 21: 21, 22: 23, 23: 8, 24: 25, 25: 12,
}  # fmt: skip
PARENTS = [BONES[joint] - 1 for joint in range(1, JOINTS + 1)]


class Tokens(NamedTuple):
    """The two ways in which the encoder reads one modality of B clips.

    temporal: (B, T, M·V·C), a token a frame, ordered (body, joint, xyz);
    spatial: (B, M·V, T·C), a token a joint of a body, ordered (frame, xyz).
    """

    temporal: Tensor
    spatial: Tensor


def bone(joints: Tensor) -> Tensor:
    """Each joint minus its neighbour towards the centre: (..., V, any) -> the same shape."""
    # By slices, as a list for an index would be copied to a GPU, which waits for it.
    parents = torch.stack([joints[..., parent, :] for parent in PARENTS], dim=-2)
    return joints - parents


def motion(frames: Tensor) -> Tensor:
    """The next frame minus this one, zero in the last: (..., T, any) -> the same shape."""
    return torch.cat([frames[..., 1:, :], frames[..., -1:, :]], dim=-2).sub_(frames)


def derive(joints: Tensor, modalities: tuple[str, ...] = MODALITIES) -> dict[str, Tokens]:
    """A view of a batch: the tokens of the named modalities.

    joints: (B, T, M, V, C) coordinates in metres.
    """
    view = {}
    if "joint" in modalities or "bone" in modalities:
        paths = _paths(joints)
        view["joint"] = Tokens(joints.flatten(2), paths.flatten(1, 2))
    if "bone" in modalities:
        bones = bone(paths)  # paths are long rows, which are fast to move
        frames = bones.unflatten(-1, (-1, CHANNELS)).permute(0, 3, 1, 2, 4)  # (B, T, M, V, C)
        view["bone"] = Tokens(frames.flatten(2), bones.flatten(1, 2))
    if "motion" in modalities:
        steps = motion(joints.flatten(2))
        view["motion"] = Tokens(steps, _paths(steps.view_as(joints)).flatten(1, 2))
    return {modality: view[modality] for modality in modalities}


def _paths(frames: Tensor) -> Tensor:
    """(B, T, M, V, C) -> (B, M, V, T·C)."""
    return frames.permute(0, 2, 3, 1, 4).flatten(3)
