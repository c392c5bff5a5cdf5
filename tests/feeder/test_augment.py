import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from common import UserError
from feeder import augment as aug
from tests.golden_files import load, ours
from tests.literal import input as literal

GOLDEN = load("augment")
JOINTS = 25
CASES = sorted({key.split("/")[0] for key in GOLDEN})


def augmented(frames: int = 300, **strengths: float) -> aug.Augmentation:
    """20,000 augmentations of one clip, at the start of its store; the draws are the same."""
    chosen, start = aug.Strengths(**strengths), torch.zeros(20_000, dtype=torch.long)
    uniform = aug.uniform_draws(np.random.default_rng(0), start.shape, JOINTS, chosen)
    return aug.augmentation(torch.from_numpy(uniform), start, start + frames, chosen)


def of_length(*lengths: int) -> tuple[torch.Tensor, torch.Tensor]:
    length = torch.tensor(lengths)
    return length.cumsum(0) - length, length


def golden_matrix(case: str) -> torch.Tensor:
    """The matrices (1, V, C, C) of a reference case."""
    kind, joints = str(GOLDEN[f"{case}/kind"]), torch.zeros(1, JOINTS, dtype=torch.bool)
    joints[0, GOLDEN.get(f"{case}/joints", [])] = True
    values = torch.from_numpy(GOLDEN[f"{case}/matrix"]).float() if kind != "zero_joints" else None
    if kind == "shear":
        return aug.shear(values[None]).expand(-1, JOINTS, -1, -1)
    return aug.corruption(joints, torch.zeros(1, 3, 3) if values is None else values[None])


def test_views_from_the_written_draws_match_the_published_ones():
    # All reference clips packed into one store, all cases as one batch.
    clips = [ours(GOLDEN[f"{case}/clip"]) for case in CASES]
    start, length = of_length(*map(len, clips))
    crops = torch.tensor(np.stack([GOLDEN[f"{case}/crop_start_length"] for case in CASES]))
    matrix = torch.cat([golden_matrix(case) for case in CASES])
    frames = torch.cat(clips)
    cropped = aug.resize(frames, start + crops[:, 0], crops[:, 1])
    augmented = aug.augment(frames, aug.Augmentation(start + crops[:, 0], crops[:, 1], matrix))
    evaluated = aug.resize(frames, start, length)
    for i, case in enumerate(CASES):
        views = {"cropped": cropped, "augmented": augmented, "eval_clip": evaluated}
        for name, view in views.items():
            published = ours(GOLDEN[f"{case}/{name}"])
            np.testing.assert_allclose(view[i], published, rtol=1e-5, atol=1e-6, err_msg=case)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=4), st.integers(1, 130), st.data())
def test_resize_is_the_interpolation_of_torch_over_the_crop(lengths, size, data):
    start, length = of_length(*lengths)
    frames = torch.randn(int(length.sum()), 2, 3, 3, dtype=torch.float64)
    cropped = torch.tensor([data.draw(st.integers(1, n)) for n in lengths])
    begin = torch.tensor([data.draw(st.integers(0, int(r))) for r in length - cropped])
    views = aug.resize(frames, start + begin, cropped, size)
    for i in range(len(lengths)):
        a = int(start[i] + begin[i])
        crop = frames[a : a + int(cropped[i])].flatten(1).T[None]  # (1, C, T)
        expected = F.interpolate(crop, size=size, mode="linear", align_corners=False)[0].T
        torch.testing.assert_close(views[i].flatten(1), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("frames", [1, 64, 299, 5000])
def test_crops_are_in_range_and_those_of_the_plain_reading(frames, rng):
    start, length, _ = augmented(frames)
    shortest = max(min(64, frames), 0.1 * frames)
    assert length.min() == pytest.approx(shortest, rel=0.01) and length.max() <= frames
    assert start.min() == 0 and (start + length <= frames).all()
    plain = np.array([literal.draw_crop(frames, rng) for _ in range(4000)])
    quantiles, drawn = [0.05, 0.25, 0.5, 0.75, 0.95], np.stack([start, length], 1)
    drawn, expected = (np.quantile(x, quantiles, axis=0) for x in (drawn, plain))
    np.testing.assert_allclose(drawn, expected, atol=max(1, 0.04 * frames))


def kinds(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Which of N augmentations shear, which zero, and which joints each changes (N, V)."""
    changed = (matrix != torch.eye(3)).flatten(2).any(2)
    return changed.all(1), (matrix == 0).flatten(2).all(2).any(1), changed


def test_half_shear_a_quarter_zero_and_fifteen_joints_are_corrupted():
    sheared, zeroed, changed = kinds(augmented().matrix)
    assert sheared.float().mean() == pytest.approx(0.5, abs=0.015)
    assert zeroed.float().mean() == pytest.approx(0.25, abs=0.012)
    assert not (sheared & zeroed).any()
    corrupted = changed[~sheared]
    assert (corrupted.sum(1) == 15).all()
    # Every pair of joints is as likely as every other.
    pairs = corrupted.float().T @ corrupted.float() / len(corrupted)
    off_diagonal = pairs[~torch.eye(25, dtype=torch.bool)]
    assert off_diagonal.sub(15 * 14 / (25 * 24)).abs().max() < 0.03


def test_each_strength_does_what_it_says():
    sheared, zeroed, changed = kinds(augmented(shear_probability=0.8, zero_probability=1).matrix)
    assert sheared.float().mean() == pytest.approx(0.8, abs=0.012)
    assert torch.equal(zeroed, ~sheared)
    sheared, zeroed, changed = kinds(augmented(corrupted_joints=0.2, zero_probability=0).matrix)
    assert (changed[~sheared].sum(1) == 5).all() and not zeroed.any()

    spatial = augmented(spatial_probability=0.25)
    sheared, _, changed = kinds(spatial.matrix)
    assert changed.any(1).float().mean() == pytest.approx(0.25, abs=0.012)
    assert sheared.float().mean() == pytest.approx(0.125, abs=0.01)
    none = augmented(spatial_probability=0).matrix
    assert torch.equal(none, torch.eye(3).expand_as(none))

    half = augmented(shear_amplitude=0.5, shear_probability=1).matrix
    whole = augmented(shear_probability=1).matrix
    torch.testing.assert_close(half - torch.eye(3), (whole - torch.eye(3)) / 2)
    length = augmented(shortest_crop=0.7).length
    assert 210 <= length.min() < 216 and length.max() >= 298
    assert (augmented(shortest_crop=1).length == 300).all()

    # Clips of 40 frames are cropped, too, where a crop may have fewer than 64.
    length = augmented(frames=40, shortest_crop=0.3, fewest_frames=16).length
    assert length.min() == 16 and length.max() == 39
    assert (augmented(frames=1, fewest_frames=0).length == 1).all()


@pytest.mark.parametrize(("name", "value"), [("shortest_crop", 20), ("yaw", -20)])
def test_strengths_out_of_range_are_refused(name, value):
    with pytest.raises(UserError, match=f"--{name.replace('_', '-')}"):
        aug.Strengths(**{name: value})


def test_matrices_are_uniform_from_minus_one_to_one():
    matrix = augmented().matrix
    sheared, zeroed, changed = kinds(matrix)
    shears = matrix[sheared][:, 0]
    assert (matrix[sheared] == shears[:, None]).all()  # one matrix for all joints
    assert (shears.diagonal(dim1=1, dim2=2) == 1).all()
    corrupting = ~sheared & ~zeroed
    matrices = matrix[corrupting, changed[corrupting].int().argmax(1)]
    same = (matrix[corrupting] == matrices[:, None]).flatten(2).all(2)
    assert torch.equal(same, changed[corrupting])  # one matrix for all corrupted joints
    off_diagonal = shears[:, ~torch.eye(3, dtype=torch.bool)]  # (N, 6)
    for drawn in (*off_diagonal.T, *matrices.flatten(1).T):
        assert drawn.min() >= -1 and drawn.max() <= 1
        assert drawn.mean() == pytest.approx(0, abs=0.04)
        assert drawn.std() == pytest.approx(1 / 3**0.5, abs=0.03)


def test_a_rotation_is_right_handed():
    x, y, z = eye = torch.eye(3, dtype=torch.float64)
    about_x, about_y, about_z = aug.rotation(eye * torch.pi / 2)[:, 0]
    for turned, expected in ((y @ about_x, z), (z @ about_y, x), (x @ about_z, y)):
        torch.testing.assert_close(turned, expected, rtol=0, atol=1e-12)


def test_yaw_is_uniform_about_the_vertical_axis_and_follows_the_other_changes():
    plain, turned = augmented().matrix, augmented(yaw=50).matrix
    torch.testing.assert_close(turned[..., 1], plain[..., 1], rtol=0, atol=1e-6)  # heights stay
    only = augmented(yaw=50, spatial_probability=0).matrix[:, :1]
    angles = torch.atan2(only[..., 2, 0], only[..., 0, 0]).rad2deg()
    assert angles.abs().max() <= 50.001
    assert torch.histc(angles, 10, -50, 50).sub(2000).abs().max() < 190
    torch.testing.assert_close(turned, plain @ only, rtol=0, atol=1e-5)
