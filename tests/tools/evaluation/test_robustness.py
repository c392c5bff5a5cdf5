"""Test clips that are incomplete: what is left is what was there."""

from functools import partial

import numpy as np
import pytest
import torch

from feeder.augment import resize
from feeder.batches import whole_clips
from tools.evaluation import robustness
from tools.evaluation.robustness import kept_frames

CPU = torch.device("cpu")
ROWS = np.array([30, 2, 17])


@pytest.fixture
def altered(store):
    return lambda kind, amount: robustness.load_altered(store, ROWS, CPU, kind=kind, amount=amount)


@pytest.mark.parametrize(("kind", "amount"), [("observe", 0.3), ("drop_frames", 0.6)])
def test_a_clip_has_the_frames_that_are_kept(store, altered, kind, amount):
    for row, view in zip(ROWS, altered(kind, amount), strict=True):
        clip = store.clip(row)
        frames = torch.from_numpy(clip[kept_frames(kind, amount, len(clip), row)])
        expected = resize(frames, torch.tensor([0]), torch.tensor([len(frames)]))[0]
        torch.testing.assert_close(view, expected)


@pytest.mark.parametrize("percent", [10, 20, 30, 55, 70])
def test_a_share_of_frames_is_counted_exactly(percent):
    """The ceiling of share · n, for every length: in float32, 0.3 · 50 is more than 15."""
    for count in range(1, 101):
        seen = kept_frames("observe", percent / 100, count, 5)
        assert seen.tolist() == list(range(-(-percent * count // 100)))
        kept = kept_frames("drop_frames", percent / 100, count, 5)
        assert abs(len(kept) - max(1, count * (100 - percent) / 100)) <= 0.5
        assert (np.diff(kept) > 0).all() and kept[-1] < count
        assert set(kept_frames("drop_frames", 0.9, count, 5)) <= set(kept)


def test_dropped_joints_are_at_the_origin_and_nested(store, altered):
    whole, before = whole_clips(store, ROWS, CPU), torch.zeros(3, 25, dtype=torch.bool)
    for count in (1, 7, 25):
        found = altered("drop_joints", count)
        dropped = (found != whole).any(1).any(1).any(-1) | (found == 0).all(1).all(1).all(-1)
        assert torch.equal(found, whole * ~dropped[:, None, None, :, None])
        assert (dropped.sum(1) - count).abs().max() <= 1  # the center is at the origin anyway
        assert not (before & ~dropped).any()
        before = dropped


@pytest.mark.parametrize(("kind", "amount"), [("drop_joints", 9), ("drop_frames", 0.5)])
def test_what_is_dropped_does_not_depend_on_the_batch(store, altered, kind, amount):
    load = partial(robustness.load_altered, kind=kind, amount=amount)
    alone = [load(store, ROWS[i : i + 1], CPU)[0] for i in range(3)]
    torch.testing.assert_close(altered(kind, amount), torch.stack(alone))
