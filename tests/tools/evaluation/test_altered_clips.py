"""Test clips that are less than whole: what is left is what was there."""

import numpy as np
import pytest
import torch

from feeder.augment import resize
from feeder.batches import whole_clips
from feeder.store import open_store
from tools.cli import UserError
from tools.evaluation import altered_clips
from tools.evaluation.altered_clips import Alteration, load_altered

CPU = torch.device("cpu")
ROWS = np.array([30, 2, 17])


@pytest.fixture
def store(data_root):
    return open_store(data_root, "ntu60")


@pytest.mark.parametrize("kind", ["observe", "drop_joints", "drop_frames"])
def test_nothing_taken_is_the_whole_clip(store, kind):
    whole = whole_clips(store, ROWS, CPU)
    amount = 1.0 if kind == "observe" else 0
    torch.testing.assert_close(load_altered(store, ROWS, CPU, Alteration(kind, amount)), whole)
    assert torch.equal(load_altered(store, ROWS, CPU, None), whole)


def test_the_beginning_of_a_clip(store):
    seen = load_altered(store, ROWS, CPU, Alteration("observe", 0.3))
    for row, view in zip(ROWS, seen, strict=True):
        frames = torch.from_numpy(np.array(store.clip(row)))
        count = int(np.ceil(0.3 * len(frames)))
        expected = resize(frames, torch.tensor([0]), torch.tensor([count]))[0]
        torch.testing.assert_close(view, expected)
    least = load_altered(store, ROWS, CPU, Alteration("observe", 1e-6))
    torch.testing.assert_close(least, least[:, :1].expand_as(least))  # the first frame alone


def test_dropped_joints_are_at_the_origin_and_nested(store):
    whole, before = whole_clips(store, ROWS, CPU), torch.zeros(3, 25, dtype=torch.bool)
    for count in (1, 7, 25):
        found = load_altered(store, ROWS, CPU, Alteration("drop_joints", count))
        dropped = (found != whole).any(1).any(1).any(-1) | (found == 0).all(1).all(1).all(-1)
        kept = ~dropped[:, None, None, :, None]
        assert torch.equal(found, whole * kept)
        assert (dropped.sum(1) - count).abs().max() <= 1  # the center is at the origin anyway
        assert not (before & ~dropped).any()
        before = dropped
    with pytest.raises(UserError, match="--drop-joints 26"):
        altered_clips.check(store, {"drop_joints": [0, 26]})


def test_dropped_frames_leave_others_in_order(store):
    clips = altered_clips._fewer_frames(store, ROWS, 0.6, CPU)
    for row, start, length in zip(ROWS, clips.start, clips.length, strict=True):
        frames = store.clip(row)
        left = clips.frames[start : start + length].numpy()
        assert len(left) == round(0.4 * len(frames))
        at = [int(np.flatnonzero((frames == one).all((1, 2, 3)))[0]) for one in left]
        assert at == sorted(set(at))
    assert altered_clips._fewer_frames(store, ROWS, 0.999, CPU).length.tolist() == [1, 1, 1]


@pytest.mark.parametrize(("kind", "amount"), [("drop_joints", 9), ("drop_frames", 0.5)])
def test_what_is_dropped_does_not_depend_on_the_batch(store, kind, amount):
    alteration = Alteration(kind, amount)
    together = load_altered(store, ROWS, CPU, alteration)
    alone = [load_altered(store, ROWS[i : i + 1], CPU, alteration)[0] for i in range(3)]
    torch.testing.assert_close(together, torch.stack(alone))
