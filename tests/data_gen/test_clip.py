import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.clip import prepare_clip, rotation_to_x
from tests.literal import preprocess as literal


@st.composite
def recordings(draw):
    """Bodies (T, M, 25, 3) that come and go; some joints are lost in some frames."""
    shape = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    bodies = rng.normal((0.0, 0.0, 3.0), 0.5, (*shape, 25, 3))
    bodies *= rng.uniform(0.5, 1.5, (1, shape[1], 1, 1))  # so that energies differ
    bodies[rng.random((*shape, 25)) < draw(st.sampled_from([0, 0.05]))] = 0
    present = draw(st.lists(st.lists(st.booleans(), min_size=shape[1], max_size=shape[1]),
                            min_size=shape[0], max_size=shape[0]))  # fmt: skip
    bodies[~np.array(present)] = 0
    return bodies


def prepare_literally(bodies: np.ndarray) -> np.ndarray:
    slots = np.zeros((literal.MAX_BODIES, *bodies.shape[:1], 25, 3))
    slots[: bodies.shape[1]] = bodies.transpose(1, 0, 2, 3)
    padded = np.zeros((literal.KEPT_BODIES, len(bodies) + 7, 25, 3))
    padded[:, : len(bodies)] = literal.choose_bodies(slots)
    for body in padded:
        literal.repair(body)
    literal.center(padded)
    literal.align(padded)
    return padded[:, : len(bodies)].transpose(1, 0, 2, 3)


@settings(max_examples=200, deadline=None)
@given(recordings())
def test_same_clip_as_by_the_literal_reading_of_the_method(bodies):
    clip = prepare_clip(bodies)
    if clip is None:
        assert not bodies.any()
    else:
        assert clip.dtype == np.float32
        np.testing.assert_allclose(clip, prepare_literally(bodies), rtol=0, atol=1e-5)


def test_of_equal_energies_the_later_body_comes_first(rng):
    body = rng.normal(size=(5, 25, 3))
    bodies = np.stack([body, -body], axis=1)  # equal to the last bit
    swapped = bodies[:, ::-1]
    np.testing.assert_array_equal(prepare_clip(bodies), prepare_clip(swapped, by_energy=False))
    kept = literal.choose_bodies(bodies.swapaxes(0, 1))
    np.testing.assert_array_equal(kept, swapped.swapaxes(0, 1))


def test_no_body_in_any_frame_is_no_clip():
    for shape in ((5, 0, 25, 3), (5, 2, 25, 3), (0, 1, 25, 3)):
        assert prepare_clip(np.zeros(shape)) is None


@pytest.mark.parametrize("rotation", [rotation_to_x, literal.rotation_to_x_axis])
@pytest.mark.parametrize(
    "line", [(0, 0, 0), (3e-7, -3e-7, 0), (2, 0, 0), (-2, 0, 0), (1, 4e-7, 0), (3, 1e-8, 0)]
)
def test_a_line_that_tells_no_rotation_is_left_alone(line, rotation):
    np.testing.assert_array_equal(rotation(np.array(line, float)), np.eye(3))


@given(st.tuples(*3 * [st.floats(-2, 2)]).filter(lambda v: np.abs(v[1:]).max() > 1e-3))
def test_the_rotation_is_one_and_takes_the_line_to_x(line):
    rotation = rotation_to_x(np.array(line))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rotation), 1)
    np.testing.assert_allclose(rotation @ line, [np.linalg.norm(line), 0, 0], atol=1e-12)
    axis = np.cross(line, [1, 0, 0])  # what lies on the axis stays: the smallest turn
    np.testing.assert_allclose(rotation @ axis, axis, atol=1e-12)
