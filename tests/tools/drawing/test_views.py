"""Augmented views: those of the seed, and the monitor's image of them."""

import numpy as np
import pytest
import torch

from data_gen.clip import prepare_clip
from data_gen.readers.skeleton_file import read_skeleton_file
from feeder.augment import PUBLISHED
from feeder.skeletons import KINECT_V2
from tests.data_gen.raw_files import random_frames, raw_text
from tests.golden_files import GOLDEN
from tools.drawing.views import FRAMES, SIZE, augmented, read_clip, view_scenes, views_image

RECORDING = GOLDEN / "skeletons" / "S001C001P001R001A001.skeleton"


def test_views_are_those_of_the_seed():
    clip = prepare_clip(read_skeleton_file(RECORDING))
    (whole, one), (_, same), (_, other) = (augmented(clip, s, PUBLISHED) for s in (3, 3, 4))
    assert whole.shape == (64, 2, 25, 3) and one.shape == (4, 64, 2, 25, 3)
    assert (one == same).all() and (one != other).any()
    scenes = view_scenes(one, KINECT_V2)
    assert list(scenes) == ["joint view", "bone view", "motion view", "fused view"]
    assert list(view_scenes(one[:2], KINECT_V2)) == ["fused view 1", "fused view 2"]


@pytest.mark.parametrize("views", [2, 4, 5])
def test_the_monitors_image_has_a_row_a_clip(views):
    rng = np.random.default_rng(0)
    clip, seen = rng.normal(size=(64, 2, 25, 3)), rng.normal(size=(views, 64, 2, 25, 3))
    image = views_image([("a clip", clip, seen)] * 2, KINECT_V2)
    assert image.shape == (2 * SIZE, (1 + views) * FRAMES * SIZE, 3) and image.dtype == np.uint8
    assert (image[3 : SIZE - 3] == image[SIZE + 3 : -3]).mean() > 0.999


def test_a_body_is_the_same_whether_a_recording_is_prepared_or_raw(tmp_path):
    frames = random_frames([3] * 6)
    for bodies in frames:
        bodies[0][:] = bodies[0] * 0.1 + 2  # least movement, and first in the file
    path = tmp_path / "S001C001P001R001A050.skeleton"
    path.write_text(raw_text(frames))
    raw, prepared = (torch.from_numpy(read_clip(path, raw=raw)).float() for raw in (True, False))
    assert raw.shape == (6, 3, 25, 3) and prepared.shape == (6, 2, 25, 3)
    for body in range(2):  # moving and turning a body keeps the distances between its joints
        one, other = (torch.cdist(clip[:, body], clip[:, body]) for clip in (raw, prepared))
        torch.testing.assert_close(one, other, atol=1e-3, rtol=0)
