"""Joint, bone and motion: three ways to write the same moving bodies, and their token sequences.

Every tensor here ends in the axes (T, M, V, C) = (frames, bodies, joints, xyz).
"""

import torch
from torch import Tensor

MODALITIES = ("joint", "bone", "motion")

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


def bone(joints: Tensor) -> Tensor:
    """Each joint minus its neighbour towards the centre: (..., T, M, V, C) -> the same shape."""
    # By paths, (..., M, V, T, C), whose long rows are fast to move; and by slices, as a list for an
    # index would be copied to a GPU, which waits for it.
    paths = joints.movedim(-4, -2).contiguous()
    parents = torch.stack([paths[..., parent, :, :] for parent in PARENTS], dim=-3)
    return (paths - parents).movedim(-2, -4)


def motion(joints: Tensor) -> Tensor:
    """The next frame minus this one, zero in the last: (..., T, M, V, C) -> the same shape."""
    steps = torch.zeros_like(joints)
    steps[..., :-1, :, :, :] = joints[..., 1:, :, :, :] - joints[..., :-1, :, :, :]
    return steps


DERIVE = {"joint": lambda joints: joints, "bone": bone, "motion": motion}


def derive(joints: Tensor, modalities: tuple[str, ...] = MODALITIES) -> dict[str, Tensor]:
    """A view of a batch: the named modalities of (..., T, M, V, C) joint coordinates, in metres."""
    return {name: DERIVE[name](joints) for name in modalities}


def temporal_tokens(x: Tensor) -> Tensor:
    """One token a frame, ordered (body, joint, xyz): (B, T, M, V, C) -> (B, T, M·V·C)."""
    return x.flatten(2)


def spatial_tokens(x: Tensor) -> Tensor:
    """One token a joint of a body, ordered (frame, xyz): (B, T, M, V, C) -> (B, M·V, T·C)."""
    return x.permute(0, 2, 3, 1, 4).flatten(3).flatten(1, 2)
