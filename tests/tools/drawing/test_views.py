"""Augmented views: those of the seed, and the monitor's image of them."""

import numpy as np
import pytest

from data_gen.clip import prepare_clip
from data_gen.readers.skeleton_file import read_skeleton_file
from feeder.augment import PUBLISHED
from feeder.skeletons import KINECT_V2
from tests.golden_files import GOLDEN
from tools.drawing.views import FRAMES, SIZE, augmented, view_scenes, views_image

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
