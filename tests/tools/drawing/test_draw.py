"""Pictures of skeletons: what is drawn stands where the projection says, and nothing else does."""

import numpy as np
import pytest
import torch

from net.modalities import bone
from tools.drawing import draw
from tools.drawing.draw import BODY_COLORS, PAPER, View
from tools.drawing.scenes import APART, MOTION_GAIN
from tools.drawing.scenes import scene as scene_of

SIZE = 200
SPINE_MIDDLE = 1


def clip_of(frames: int = 5, bodies: int = 2, seed: int = 0) -> torch.Tensor:
    """Two metres of random joints; the second body stands aside."""
    joints = torch.rand(frames, 2, 25, 3, generator=torch.manual_seed(seed)) * 2 - 1
    joints[:, 1, :, 0] += 3
    joints[:, bodies:] = 0
    return joints


def color_at(picture: torch.Tensor, point: torch.Tensor) -> tuple[int, ...]:
    x, y = point.int().tolist()
    return tuple(picture[:, y, x].tolist())


def plain_view(scale: float = 50.0) -> View:
    ground = torch.tensor(PAPER).view(3, 1, 1).expand(3, SIZE, SIZE).float()
    return View(SIZE, scale, torch.tensor([100.0, 100.0]), ground)


def test_projection_has_equal_axes_and_looks_from_where_the_sensor_stands():
    assert torch.stack([draw.RIGHT, draw.UP]) @ torch.stack([draw.RIGHT, draw.UP]).T == (
        pytest.approx(np.eye(2), abs=1e-6)
    )
    view = plain_view()
    zero, x, y, z = draw.project(torch.cat([torch.zeros(1, 3), torch.eye(3)]), view)
    assert zero.tolist() == [100, 100]
    assert x[0] < 100 - 0.9 * 50, "x grows to the left of a picture taken by a Kinect"
    assert y[1] < 100 - 0.9 * 50, "y grows upwards"
    assert z[1] < 100, "from a little above, what is farther away is higher in the picture"
    doubled = draw.project(torch.eye(3), plain_view(100.0)) - 100
    torch.testing.assert_close(doubled, 2 * (torch.stack([x, y, z]) - 100))


def test_everything_visible_is_inside_its_margin_and_fills_it():
    for modality in ("joint", "bone", "motion"):
        scene = scene_of(clip_of(), modality)
        view = draw.fit([scene], SIZE)
        at = draw.project(scene.extent(), view)
        edge = draw.MARGIN * SIZE
        assert at.min() >= edge - 0.1 and at.max() <= SIZE - edge + 0.1
        assert (at.max(0).values - at.min(0).values).max() == pytest.approx(SIZE - 2 * edge, 1e-3)


def test_a_joint_is_drawn_where_the_projection_says():
    clip = clip_of(bodies=1)
    scene = scene_of(clip)
    view = draw.fit([scene], SIZE)
    picture = draw.draw(scene, 2, view)
    for at in draw.project(clip[2, 0], view):
        assert color_at(picture, at) == BODY_COLORS[0]
    moved = clip.clone()
    moved[2, 0, 3] += torch.tensor([0.0, 0.4, 0.0])  # the head, which hangs on joint 2 alone
    other = draw.draw(scene_of(moved), 2, view)
    changed = (picture != other).any(0).nonzero().flip(1) + 0.5  # as (x, y)
    bones = draw.project(torch.stack([clip[2, 0, [3, 2]], moved[2, 0, [3, 2]]]), view)
    assert len(changed) and distance_to_lines(changed, bones).max() < 4
    assert color_at(other, draw.project(moved[2, 0, 3], view)) == BODY_COLORS[0]


def distance_to_lines(points: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """From each of (n, 2) points to the nearest of (k, 2, 2) line segments."""
    start, along = ends[:, 0], ends[:, 1] - ends[:, 0]
    share = ((points[:, None] - start) * along).sum(-1) / along.square().sum(-1)
    nearest = start + share.clamp(0, 1)[..., None] * along
    return (points[:, None] - nearest).norm(dim=-1).min(1).values


def test_two_bodies_have_two_colors_and_an_absent_one_none():
    both, alone = clip_of(), clip_of(bodies=1)
    view = draw.fit([scene_of(both)], SIZE)
    for clip, expected in ((both, True), (alone, False)):
        picture = draw.draw(scene_of(clip), 0, view)
        for body, color in enumerate(BODY_COLORS[:2]):
            pixels = (picture == torch.tensor(color).view(3, 1, 1)).all(0)
            assert pixels.any() == (expected or body == 0)


def test_a_corrupted_joint_is_left_out_but_the_centered_spine_is_not():
    clip = clip_of(bodies=1)
    clip[..., :, SPINE_MIDDLE, :] = 0
    clip[:, :, 7] = 0
    there = scene_of(clip).visible
    assert there[:, 0, SPINE_MIDDLE].all() and not there[:, :, 7].any() and not there[:, 1].any()
    # A thumb hangs on joint 7; without that, no line goes from it to the point zero.
    hand = torch.zeros(1, 1, 25, 3)
    hand[..., 22, :] = torch.tensor([0.5, 0.5, 0.0])
    with_7 = hand.clone()
    with_7[..., 7, :] = 1e-9
    view = draw.fit([scene_of(hand)], SIZE)
    middle = draw.project(torch.tensor([0.25, 0.25, 0.0]), view)
    red = [
        color_at(draw.draw(scene_of(clip), 0, view), middle)[0] for clip in (hand, with_7)
    ]  # body 1 has little of it, paper and floor have much
    assert red[0] > 180 and red[1] < 100


def test_bones_are_arrows_from_one_point_and_no_picture_of_the_body():
    clip = clip_of()
    scene = scene_of(clip, "bone")
    arrows = scene.tips - scene.joints
    torch.testing.assert_close(arrows, bone(clip))
    starts = scene.joints.flatten(0, 2).unique(dim=0)  # of all bodies, frames and joints
    assert starts.tolist() == [[0.0, 0.0, 0.0], [pytest.approx(APART), 0.0, 0.0]]
    alone = clip_of(bodies=1)
    bones, joints = (
        draw.draw(s, 0, draw.fit([s], SIZE)) for s in (scene_of(alone, "bone"), scene_of(alone))
    )
    assert (bones != joints).any(0).float().mean() > 0.05, "a bone picture is no body"
    moved = scene_of(alone + 1.0, "bone")  # a body elsewhere has the same bones
    torch.testing.assert_close(moved.tips, scene_of(alone, "bone").tips)
    # A corrupted joint is at zero: its bone is the way there from its parent, which is drawn too.
    corrupted = alone.clone()
    corrupted[:, 0, 7] = 0
    assert scene_of(corrupted, "bone").visible[:, 0].all()


def test_arrows_of_motion_point_where_the_joint_goes():
    clip = clip_of()
    clip[1:] = clip[0] + 0.05 * clip[1:]
    scene = scene_of(clip, "motion")
    ahead = clip[1, 0, 3] - clip[0, 0, 3]
    torch.testing.assert_close(scene.tips[0, 0, 3], clip[0, 0, 3] + MOTION_GAIN * ahead)
    torch.testing.assert_close(scene.tips[-1], clip[-1])
    view = draw.fit([scene], SIZE)
    picture = draw.draw(scene, 0, view)
    tip = draw.project(scene.tips[0, 0, 3], view)
    assert color_at(picture, tip) in BODY_COLORS


def test_an_empty_or_absurd_clip_can_be_drawn():
    nobody = scene_of(torch.zeros(3, 2, 25, 3))
    picture = draw.draw(nobody, 0, draw.fit([nobody], 64))
    assert picture.shape == (3, 64, 64)
    far = clip_of()
    view = draw.fit([scene_of(far)], 64)
    assert draw.draw(scene_of(far * 1e6), 0, view).shape == (3, 64, 64)


def test_only_bodies_that_were_recorded_stand_on_a_floor():
    clip = clip_of()
    body, bones = scene_of(clip), scene_of(clip, "bone")
    paper = torch.tensor(PAPER).view(3, 1, 1)
    assert (draw.fit([body], SIZE, floor=True).ground != paper).any()
    assert (draw.fit([body], SIZE).ground == paper).all()
    assert (draw.fit([bones], SIZE, floor=True).ground == paper).all()
