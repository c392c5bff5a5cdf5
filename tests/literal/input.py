"""From padded arrays to views of 64 frames, one sample and one view at a time."""

import math

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import Dataset

VIEW_FRAMES = 64
SMALLEST_SCALE = 0.1
CORRUPTED_JOINTS = 15


def draw_crop(num_frames, rng):
    """Start and length (frames) of a random crop of a clip of `num_frames` frames."""
    scale = rng.uniform(SMALLEST_SCALE, 1)
    length = min(max(math.floor(num_frames * scale), VIEW_FRAMES), num_frames)
    return rng.integers(num_frames - length + 1), length


def crop_resize(clip, start, length):
    """Frames start … start + length of (C, T, V, M), resized to (C, 64, V, M) linearly."""
    channels, _, joints, bodies = clip.shape
    crop = torch.from_numpy(clip[:, start : start + length])
    crop = crop.permute(0, 2, 3, 1).reshape(1, -1, length)  # interpolate() wants (1, C·V·M, T)
    view = F.interpolate(crop, size=VIEW_FRAMES, mode="linear", align_corners=False)
    return view.reshape(channels, joints, bodies, VIEW_FRAMES).permute(0, 3, 1, 2).numpy()


def shear(view, matrix):
    """Every point p, as a column, becomes matrix·p."""
    points = view.transpose(1, 2, 3, 0)  # (T, V, M, C)
    return (points @ matrix.T).transpose(3, 0, 1, 2).astype(np.float32)


def transform_joints(view, joints, matrix):
    """Every point p of `joints`, as a row, becomes p·matrix; the same in all frames and bodies."""
    out = view.copy()
    for joint in joints:
        points = view[:, :, joint].transpose(1, 2, 0)  # (T, M, C)
        out[:, :, joint] = (points @ matrix).transpose(2, 0, 1)
    return out


def zero_joints(view, joints):
    """Every point of `joints` becomes zero, in all frames and bodies."""
    out = view.copy()
    for joint in joints:
        out[:, :, joint] = 0
    return out


def draw_shear_matrix(rng):
    """(3, 3) with ones on the diagonal and U[-1, 1] elsewhere."""
    matrix = rng.uniform(-1, 1, (3, 3))
    np.fill_diagonal(matrix, 1)
    return matrix


def augment(clip, rng):
    """One random view (C, 64, V, M) of a clip (C, T, V, M) without padding."""
    view = crop_resize(clip, *draw_crop(clip.shape[1], rng))
    if rng.random() < 0.5:
        return shear(view, draw_shear_matrix(rng))
    joints = rng.choice(clip.shape[2], CORRUPTED_JOINTS, replace=False)
    if rng.random() < 0.5:
        return zero_joints(view, joints)
    return transform_joints(view, joints, rng.uniform(-1, 1, (3, 3)))


def evaluation_view(clip):
    """The whole clip (C, T, V, M) as one view (C, 64, V, M), without randomness."""
    return crop_resize(clip, 0, clip.shape[1])


class EvaluationViews(Dataset):
    """The evaluation view (C, 64, V, M) and the 0-based label of each clip.

    joints: padded array (N, C, 300, V, M) float32; num_frames: (N), each clip's own frames.
    """

    def __init__(self, joints, num_frames, labels):
        self.joints = joints
        self.num_frames = num_frames
        self.labels = labels

    def __len__(self):
        return len(self.num_frames)

    def __getitem__(self, i):
        return evaluation_view(self.joints[i][:, : self.num_frames[i]]), self.labels[i]
