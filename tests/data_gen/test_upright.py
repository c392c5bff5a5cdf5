import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common import UserError
from data_gen.clip import prepare_clip, prepare_upright
from data_gen.readers.recording import AXES, UNITS, Reading, recording_of
from data_gen.tracking import follow
from feeder.skeletons import COCO_17, KINECT_V1, Layout
from tests.data_gen.people import as_skeleton, person, turn

ONE, TWO = Layout(KINECT_V1, 1), Layout(KINECT_V1, 2)
SPINE, LEFT, RIGHT = 1, 4, 8


def prepare(values: np.ndarray, layout: Layout = ONE, fill_gaps: int = 0, **options):
    values = values if values.ndim == 4 else values[:, None]
    recording = recording_of("a.npy", values, Reading(layout, layout.skeleton, **options))
    return prepare_upright(recording, layout, fill_gaps)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6), st.integers(1, 3), st.floats(-180, 180),
    st.tuples(*3 * [st.floats(-5, 5)]), st.sampled_from([*AXES]), st.sampled_from(["m", "mm"]),
)  # fmt: skip
def test_a_turn_of_the_room_a_shift_other_axes_and_units_change_nothing(
    seed, bodies, degrees, shift, axes, unit
):
    people = [person(seed + i, at=(1.5 * i, 0, 0)) for i in range(bodies)]
    values = np.stack(people, axis=1)  # (T, M, V, 3)
    rng = np.random.default_rng(seed)
    missing = rng.random(values.shape[:3]) < 0.05
    missing[:, :, :12] &= rng.random() < 0.5
    missing[5, :, [LEFT, SPINE]] = False
    moved = (values @ turn(degrees).T + shift) @ AXES[axes] / UNITS[unit]
    values[missing] = moved[missing] = 0
    expected = prepare(values, TWO)[0]
    found = prepare(moved, TWO, axes=axes, unit=unit)[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(1, 1000), st.tuples(*2 * [st.floats(0, 2000)]))
def test_pixels_of_any_size_anywhere_give_one_clip(seed, size, place):
    layout = Layout(COCO_17, 1)
    flat = as_skeleton(person(seed), COCO_17)[..., :2] * [1, -1]
    clips = [
        prepare(values, layout, channels="xy", unit="px", axes="y-down")[0]
        for values in (flat, flat * size + np.array(place) + 5 * size)
    ]
    np.testing.assert_allclose(*clips, rtol=0, atol=1e-5)
    assert not clips[0][..., 2].any()
    body = clips[0][:, 0]
    trunk = body[:, [5, 6]].mean(1) - body[:, [11, 12]].mean(1)
    np.testing.assert_allclose(np.median(np.linalg.norm(trunk, axis=1)), 0.5, atol=1e-5)


@pytest.mark.parametrize("facing", [-60, 0, 35])
def test_in_the_axes_of_a_kinect_the_rule_is_close_to_the_published_one(facing):
    body = person(1, facing=facing)
    clip = prepare(body)[0]
    line = clip[0, 0, RIGHT] - clip[0, 0, LEFT]
    assert line[0] > 0 and np.abs(line[1:]).max() < 1e-6
    assert not clip[:, 0, SPINE].any()
    published = prepare_clip(body[:, None], ONE)
    assert np.abs(clip - published).max() < 0.1


def test_root_relative_poses_keep_their_root():
    body = person(2)
    rooted = body - body[:, :1]
    np.testing.assert_allclose(prepare(rooted)[0], prepare(body)[0], atol=1e-6)
    expected = prepare(body)[0]
    rooted[4:6] = expected[4:6] = np.nan  # nobody
    rooted[9, 10] = expected[9, 0, 10] = np.nan
    np.testing.assert_allclose(prepare(rooted)[0], np.nan_to_num(expected), atol=1e-6)


def test_a_joint_that_is_never_seen_is_no_position_far_away():
    body = person(3)
    body[:, 11] = 0  # 3 m from the body
    assert not prepare(body)[0][:, 0, 11].any()
    flat = as_skeleton(person(3), COCO_17)[..., :2] * [300, -300] + 400
    flat[:, 16] = 0  # the corner of the image
    clip = prepare(flat, Layout(COCO_17, 1), channels="xy", unit="px", axes="y-down")[0]
    assert not clip[:, 0, 16].any() and clip[:, 0, 15].any()


@pytest.mark.parametrize(("joint", "value"), [(LEFT, 0), (RIGHT, np.nan), (SPINE, 0)])
def test_anchors_are_bridged(joint, value):
    body = person(4)
    whole, _, none = prepare(body)
    body[:3, joint] = value
    body[8:11, joint] = value
    clip, _, notes = prepare(body)
    seen = np.delete(np.arange(20), joint)
    assert np.abs(clip[:, :, seen] - whole[:, :, seen]).max() < 0.1
    assert none == [] and len(notes) == 1


def test_without_an_anchor_or_with_few_joints_a_recording_is_refused():
    for joints in ([LEFT], [SPINE], list(range(2, 14))):
        body = person(5)
        body[:, joints] = np.nan
        with pytest.raises(UserError, match=r"a\.npy"):
            prepare(body)
    assert prepare(np.zeros((5, 20, 3))) is None


def test_gaps_are_filled():
    body = person(6)
    body[5:7, 11] = 0
    body[10:14, 11] = 0
    body[15] = 0  # nobody
    expected = prepare(person(6))[0]
    clip = prepare(body, fill_gaps=2)[0]
    assert np.abs(clip[[5, 6, 15]] - expected[[5, 6, 15]]).max() < 0.1
    assert not clip[10:14, 0, 11].any() and expected[10:14, 0, 11].all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(0, 19), max_size=4))
def test_bodies_that_change_places_are_followed(seed, changes):
    both = np.stack([person(seed), person(seed + 1, at=(1, 0, 0.5))], axis=1)
    mixed = both.copy()
    for frame in changes:
        mixed[frame:] = mixed[frame:, ::-1].copy()
    for layout in (ONE, TWO):
        np.testing.assert_array_equal(prepare(mixed, layout)[0], prepare(both, layout)[0])


def test_tracking_numbers_win_over_places():
    both = np.stack([person(0), person(1, at=(1, 0, 0))], axis=1)
    numbers = np.tile([7, 9], (20, 1))
    both[10:] = both[10:, ::-1].copy()  # they really jump to each other's place
    np.testing.assert_array_equal(follow(both, numbers), np.tile([0, 1], (20, 1)))
    numbers[10:] = numbers[10:, ::-1].copy()
    numbers[12:, 1] = 11  # a new number where 7 was: the same person
    assert (follow(both, numbers)[10:] == [1, 0]).all()
