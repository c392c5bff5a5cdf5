"""Test clips that are incomplete: what is left is what was there."""

from functools import partial

import numpy as np
import pytest
import torch

from common import UserError
from feeder.augment import resize
from feeder.batches import whole_clips
from feeder.store import open_store
from tools.evaluation import robustness

CPU = torch.device("cpu")
ROWS = np.array([30, 2, 17])


@pytest.fixture
def store(data_root):
    return open_store(data_root, "ntu60")


@pytest.fixture
def altered(store):
    """Load ROWS altered: altered(kind, amount)."""
    return lambda kind, amount: robustness.load_altered(store, ROWS, CPU, kind=kind, amount=amount)


@pytest.mark.parametrize("kind", ["observe", "drop_joints", "drop_frames"])
def test_nothing_removed_is_the_whole_clip(store, altered, kind):
    whole = whole_clips(store, ROWS, CPU)
    torch.testing.assert_close(altered(kind, 1.0 if kind == "observe" else 0), whole)


def test_the_beginning_of_a_clip(store, altered):
    for row, view in zip(ROWS, altered("observe", 0.3), strict=True):
        frames = torch.from_numpy(np.array(store.clip(row)))
        count = int(np.ceil(0.3 * len(frames)))
        expected = resize(frames, torch.tensor([0]), torch.tensor([count]))[0]
        torch.testing.assert_close(view, expected)
    least = altered("observe", 1e-6)
    torch.testing.assert_close(least, least[:, :1].expand_as(least))  # the first frame alone


def test_dropped_joints_are_at_the_origin_and_nested(store, altered):
    whole, before = whole_clips(store, ROWS, CPU), torch.zeros(3, 25, dtype=torch.bool)
    for count in (1, 7, 25):
        found = altered("drop_joints", count)
        dropped = (found != whole).any(1).any(1).any(-1) | (found == 0).all(1).all(1).all(-1)
        assert torch.equal(found, whole * ~dropped[:, None, None, :, None])
        assert (dropped.sum(1) - count).abs().max() <= 1  # the center is at the origin anyway
        assert not (before & ~dropped).any()
        before = dropped
    with pytest.raises(UserError, match="--drop-joints"):
        robustness.check(store, {"drop_joints": [0, 26]})


def test_dropped_frames_leave_others_in_order(store):
    clips = robustness.fewer_frames(store, ROWS, 0.6, CPU)
    for row, start, length in zip(ROWS, clips.start, clips.length, strict=True):
        frames = store.clip(row)
        left = clips.frames[start : start + length].numpy()
        assert len(left) == round(0.4 * len(frames))
        at = [int(np.flatnonzero((frames == one).all((1, 2, 3)))[0]) for one in left]
        assert at == sorted(set(at))
    assert robustness.fewer_frames(store, ROWS, 0.999, CPU).length.tolist() == [1, 1, 1]


@pytest.mark.parametrize(("kind", "amount"), [("drop_joints", 9), ("drop_frames", 0.5)])
def test_what_is_dropped_does_not_depend_on_the_batch(store, altered, kind, amount):
    load = partial(robustness.load_altered, kind=kind, amount=amount)
    alone = [load(store, ROWS[i : i + 1], CPU)[0] for i in range(3)]
    torch.testing.assert_close(altered(kind, amount), torch.stack(alone))
