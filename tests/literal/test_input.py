"""The literal input against the published augmentations, and how their draws are distributed."""

import numpy as np
import pytest

from tests.golden_files import CLOSE, load
from tests.literal import input as views


@pytest.mark.parametrize("number", range(26))
def test_augmentations_match_the_published_ones(number):
    golden = load("augment")
    case = {key[4:]: golden[key] for key in golden if key.startswith(f"{number:03d}/")}
    cropped = views.crop_resize(case["clip"], *case["crop_start_length"])
    np.testing.assert_allclose(cropped, case["cropped"], **CLOSE)
    augmented = {
        "shear": lambda: views.shear(cropped, case["matrix"]),
        "transform_joints": lambda: views.transform_joints(cropped, case["joints"], case["matrix"]),
        "zero_joints": lambda: views.zero_joints(cropped, case["joints"]),
    }[str(case["kind"])]()
    assert augmented.dtype == np.float32
    np.testing.assert_allclose(augmented, case["augmented"], **CLOSE)
    np.testing.assert_allclose(views.evaluation_view(case["clip"]), case["eval_clip"], **CLOSE)


def test_crops_are_drawn_as_the_method_says(rng):
    assert views.draw_crop(40, rng) == (0, 40)
    assert {views.draw_crop(66, rng) for _ in range(2000)} == {
        *((0, 64), (1, 64), (2, 64)),
        *((0, 65), (1, 65)),
    }
    starts, lengths = np.array([views.draw_crop(200, rng) for _ in range(4000)]).T
    assert lengths.min() == 64
    assert lengths.max() in (198, 199)  # the floor of 200·scale
    assert (starts >= 0).all()
    assert (starts + lengths <= 200).all()
    # U[0.1, 1] puts (64/200 − 0.1)/0.9 of the crops at the smallest length.
    assert np.mean(lengths == 64) == pytest.approx(0.22 / 0.9, abs=0.03)
    assert starts[lengths == 64].mean() == pytest.approx(68, abs=5)  # of 0 … 136


def test_views_come_from_the_clips_own_frames():
    joints = np.ones((2, 3, 300, 25, 2), np.float32)
    joints[1, :, 70:] = np.nan  # padding that nothing may touch
    view, label = views.EvaluationViews(joints, np.array([300, 70]), np.array([4, 5]))[1]
    assert (view == 1).all() and label == 5
