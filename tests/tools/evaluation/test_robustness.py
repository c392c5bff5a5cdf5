"""Test clips that are incomplete: what is left is what was there."""

from dataclasses import replace
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch

from common import UserError
from feeder.augment import resize
from feeder.batches import whole_clips
from feeder.store import open_store
from tests.tiny_store import write_store
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
        count = -(-3 * len(frames) // 10)
        expected = resize(frames, torch.tensor([0]), torch.tensor([count]))[0]
        torch.testing.assert_close(view, expected)
    least = altered("observe", 1e-6)
    torch.testing.assert_close(least, least[:, :1].expand_as(least))  # the first frame alone


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.55, 0.7])
def test_a_share_of_frames_is_counted_exactly(tmp_path, share):
    """ceil(share · n), for every length: in float32, 0.3 · 50 is more than 15."""
    write_store(tmp_path, clips=100, classes=2, frames=(1, 100))
    store = open_store(tmp_path, "ntu60")
    lengths = np.arange(100) + 1
    start = np.cumsum(lengths) - lengths
    number = np.arange(lengths.sum()) - np.repeat(start, lengths)  # of the frame in its clip
    joints = np.tile(number[:, None, None, None], (1, 2, 25, 3)).astype(np.float32)
    store = replace(store, joints=joints, start=start, length=lengths)
    rows = np.arange(100)
    seen = robustness.load_altered(store, rows, CPU, kind="observe", amount=share)
    last = seen[:, -1, 0, 0, 0].numpy().round().astype(int)  # the last frame that is seen
    hundredths = round(100 * share)
    assert (last + 1 == -(-hundredths * lengths // 100)).all()
    share = Fraction(hundredths, 100)
    left = robustness.fewer_frames(store, rows, share, CPU).length.numpy()
    assert (abs(left - np.maximum(1, lengths * float(1 - share))) <= 0.5001).all()


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
    clips = robustness.fewer_frames(store, ROWS, Fraction(3, 5), CPU)
    for row, start, length in zip(ROWS, clips.start, clips.length, strict=True):
        frames = store.clip(row)
        left = clips.frames[start : start + length].numpy()
        assert len(left) == round(0.4 * len(frames))
        at = [int(np.flatnonzero((frames == one).all((1, 2, 3)))[0]) for one in left]
        assert at == sorted(set(at))
    nearly_all = robustness.fewer_frames(store, ROWS, Fraction(999, 1000), CPU)
    assert nearly_all.length.tolist() == [1, 1, 1]


@pytest.mark.parametrize(("kind", "amount"), [("drop_joints", 9), ("drop_frames", 0.5)])
def test_what_is_dropped_does_not_depend_on_the_batch(store, altered, kind, amount):
    load = partial(robustness.load_altered, kind=kind, amount=amount)
    alone = [load(store, ROWS[i : i + 1], CPU)[0] for i in range(3)]
    torch.testing.assert_close(altered(kind, amount), torch.stack(alone))
