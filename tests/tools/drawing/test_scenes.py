"""Scenes: augmented views by seed, bodies in one order whether a clip is prepared or not."""

import numpy as np
import torch

from data_gen.preparing.clip import prepare_clip
from data_gen.readers.skeleton_file import read_skeleton_file
from tests.data_gen.raw_files import random_frames, raw_text
from tests.golden_files import GOLDEN
from tools.drawing import clips, scenes

RECORDING = GOLDEN / "skeletons" / "S001C001P001R001A001.skeleton"


def test_augmented_views_are_those_of_the_seed():
    clip = torch.from_numpy(prepare_clip(read_skeleton_file(RECORDING)))
    one, same, other = (scenes.of_augmentation(clip, seed) for seed in (3, 3, 4))
    assert list(one) == ["whole clip", *scenes.VIEW_NAMES]
    for name in scenes.VIEW_NAMES:
        assert one[name].joints.shape == (64, 2, 25, 3)
        assert torch.equal(one[name].extent(), same[name].extent())
        assert not torch.equal(one[name].extent(), other[name].extent())
    assert one["motion view"].tips is not None and one["joint view"].tips is None


def test_a_body_is_the_same_one_whether_a_recording_is_prepared_or_not(tmp_path):
    frames = random_frames([3] * 6)
    for bodies in frames:
        bodies[0][:] = bodies[0] * 0.1 + 2  # least movement, and first in the file
    path = tmp_path / "S001C001P001R001A050.skeleton"
    path.write_text(raw_text(frames))
    raw, prepared = clips.of_recording(path, raw=True), clips.of_recording(path)
    assert raw.shape == (6, 3, 25, 3) and prepared.shape == (6, 2, 25, 3)
    torch.testing.assert_close(raw[:, 2], torch.tensor(np.array(frames))[:, 0].float())
    for body in range(2):  # moving and turning a body keeps the distances between its joints
        one, other = (torch.cdist(clip[:, body], clip[:, body]) for clip in (raw, prepared))
        torch.testing.assert_close(one, other, atol=1e-3, rtol=0)
