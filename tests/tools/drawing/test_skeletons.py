"""Pictures of skeletons: what is drawn lies where the projection says."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from data_gen.clip import prepare_clip
from data_gen.readers.skeleton_file import read_skeleton_file
from feeder.augment import PUBLISHED
from feeder.batches import Clips
from feeder.skeletons import KINECT_V2, NTU
from net.modalities import derive
from tests.golden_files import GOLDEN
from tools.drawing import skeletons
from tools.drawing.skeletons import BODY_COLORS, MARGIN, VIEW_SIZE, fit, picture, scene

SIZE = 240


def clip_of(frames: int = 5, bodies: int = 2) -> np.ndarray:
    """Two metres of random joints (T, 2, 25, 3); the second body stands aside."""
    joints = np.random.default_rng(0).uniform(-1, 1, (frames, 2, 25, 3)).astype(np.float32)
    joints[:, 1, :, 0] += 3
    joints[:, bodies:] = 0
    return joints


def near(image: np.ndarray, point: np.ndarray, color: str) -> bool:
    """Whether a color is within two pixels of a point of the unit square."""
    x, y = (point * (SIZE, -SIZE) + (0, SIZE)).astype(int)
    part = image[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].astype(int)
    wanted = np.array(to_rgb(color)) * 255
    return bool((abs(part - wanted).max(-1) < 30).any())


@pytest.mark.parametrize("modality", ["joint", "bone", "motion"])
def test_all_joints_are_inside_the_margin_and_fill_it(modality):
    (one,) = fit(scene(clip_of(), modality))
    points = (one.body if modality == "motion" else one.dots).reshape(-1, 2)
    assert points.min() == pytest.approx(MARGIN) and points.max() == pytest.approx(1 - MARGIN)


def test_joints_are_drawn_where_they_are_in_the_color_of_their_body():
    (one,) = fit(scene(clip_of()))
    image = picture([[(one, 2, "")]], SIZE)
    assert image.shape == (SIZE, SIZE, 3) and image.dtype == np.uint8
    for body in (0, 1):
        assert all(near(image, at, BODY_COLORS[body]) for at in one.dots[2, body])
    (alone,) = fit(scene(clip_of(bodies=1)))
    image = picture([[(alone, 2, "")]], SIZE)
    assert not (abs(image - np.array(to_rgb(BODY_COLORS[1])) * 255).max(-1) < 30).any()


def test_corrupted_joints_are_absent_but_the_origin_is_not():
    clip = clip_of(bodies=1)
    clip[:, :, [NTU.skeleton.origin[0], 7]] = 0
    one = scene(clip)
    there = ~np.isnan(one.dots).any(-1)  # (T, M, V)
    assert there[:, 0, NTU.skeleton.origin[0]].all() and not there[:, :, 7].any()
    assert not there[:, 1].any()
    bones = np.array(NTU.skeleton.bones)
    np.testing.assert_array_equal(np.isnan(one.lines[0, 0]).any((1, 2)), (bones == 7).any(1))


def test_what_is_missing_is_not_drawn_at_the_origin():
    clip = clip_of()
    clip[:, 1, NTU.skeleton.origin[0]] = 0  # the second body's
    clip[:, 0, NTU.skeleton.origin[0]] = np.nan  # of a recording that is not prepared
    assert np.isnan(scene(clip).dots[:, :, NTU.skeleton.origin[0]]).all()


def test_arrows_are_what_the_network_gets():
    clip = clip_of()
    arrows = {name: scene(clip, name).lines for name in ("bone", "motion")}
    tokens = derive(torch.from_numpy(clip)[None], ("bone", "motion"), NTU.skeleton)
    for name, gain in (("bone", 1), ("motion", 4)):
        found = arrows[name][..., 1, :] - arrows[name][..., 0, :]
        temporal = tokens[name].temporal.numpy().reshape(clip.shape)
        np.testing.assert_allclose(found, gain * temporal, atol=1e-5)
    assert len(np.unique(arrows["bone"][..., 0, :].reshape(-1, 3), axis=0)) == 2
    (nobody,) = fit(scene(np.zeros((3, 2, 25, 3))))
    assert (picture([[(nobody, 0, "nobody $")]], 64) > 60).all()


def test_views_are_those_of_the_seed():
    clip = prepare_clip(read_skeleton_file(GOLDEN / "skeletons" / "S001C001P001R001A001.skeleton"))
    ((whole,), views), (_, same), (_, other) = (
        skeletons.augmented(Clips.one(clip), np.random.default_rng(seed), PUBLISHED)
        for seed in (3, 3, 4)
    )
    assert whole.shape == (64, 2, 25, 3) and views.shape == (4, 1, 64, 2, 25, 3)
    assert (views == same).all() and (views != other).any()
    scenes = skeletons.view_scenes(views[:, 0], KINECT_V2)
    assert list(scenes) == ["joint view", "bone view", "motion view", "fused view"]
    assert list(skeletons.view_scenes(views[:2, 0], KINECT_V2)) == ["fused view 1", "fused view 2"]


@pytest.mark.parametrize("views", [2, 4, 5])
def test_the_monitors_image_has_a_row_a_clip(views):
    rng = np.random.default_rng(0)
    clip, seen = rng.normal(size=(64, 2, 25, 3)), rng.normal(size=(views, 64, 2, 25, 3))
    image = skeletons.views_image([("a clip", clip, seen)] * 2, KINECT_V2)
    width = (1 + views) * skeletons.VIEW_IMAGES * VIEW_SIZE
    assert image.shape == (2 * VIEW_SIZE, width, 3) and image.dtype == np.uint8
    assert (image[3 : VIEW_SIZE - 3] == image[VIEW_SIZE + 3 : -3]).mean() > 0.999
