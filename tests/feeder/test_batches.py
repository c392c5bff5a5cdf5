import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feeder.batches import TrainingBatches, batch_bounds, load_clips, resident_frames, shares
from feeder.store import open_store

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(data_root):
    return open_store(data_root, "ntu60")


def batches(store, batch_size=8, seed=5, rows=None, **options) -> TrainingBatches:
    rows = np.arange(len(store.names)) if rows is None else rows
    return TrainingBatches(store, rows, batch_size, seed, CPU, **options)


def same(a, b) -> bool:
    return (
        a.step == b.step
        and a.shares == b.shares
        and np.array_equal(a.rows, b.rows)
        and torch.equal(a.uniform, b.uniform)
        and torch.equal(a.views(), b.views())
    )


@given(clips=st.integers(1, 400), batch_size=st.integers(1, 100))
def test_batches_part_an_epoch(clips, batch_size):
    bounds = batch_bounds(clips, batch_size)
    sizes = np.diff(bounds)
    assert (bounds[0], bounds[-1]) == (0, clips)
    assert (sizes[:-1] == batch_size).all()
    least = max(2, batch_size // 8)
    assert 0 < sizes[-1] < batch_size + least
    assert sizes[-1] >= least or clips < least or batch_size < least


@pytest.mark.parametrize(("clips", "steps"), [(48, 6), (42, 6), (41, 5), (2, 1)])
def test_every_clip_is_seen_once_an_epoch(store, clips, steps):
    rows, orders = np.arange(48)[-clips:], []
    for epoch in range(3):
        seen = list(batches(store, rows=rows).epoch(epoch))
        assert [batch.step for batch in seen] == list(range(steps))
        orders.append(np.concatenate([batch.rows for batch in seen]))
        np.testing.assert_array_equal(np.sort(orders[-1]), rows)
    assert clips == 2 or len({tuple(order) for order in orders}) == 3


def test_more_views_leave_the_first_ones_as_they_are(store):
    four, five = (next(batches(store, views=views).epoch(0)) for views in (4, 5))
    assert torch.equal(five.uniform[:4], four.uniform)
    assert five.views().shape[0] == 5
    torch.testing.assert_close(five.views()[:4], four.views())


@pytest.mark.parametrize(("resident", "workers"), [(True, 0), (True, 1), (False, 50)])
def test_workers_residence_and_the_first_step_change_nothing(store, resident, workers):
    rows = np.arange(48)[::2]
    expected = list(batches(store, 7, rows=rows).epoch(2))
    frames = resident_frames(store, CPU) if resident else None
    training = batches(store, 7, rows=rows, frames=frames, workers=workers)
    assert len(training) == len(expected) == 4
    for first in range(5):
        rest = list(training.epoch(2, first_step=first))
        assert len(rest) == 4 - first and all(map(same, rest, expected[first:]))


@pytest.mark.parametrize(("world_size", "batch_size"), [(2, 8), (3, 9), (5, 15)])
def test_ranks_together_see_what_one_process_sees(store, world_size, batch_size):
    rows = np.arange(48)[:-1]  # the last batch is uneven; with 5 ranks, some have no clip
    # In float64: a product of another size sums in another order.
    options = {"rows": rows, "frames": resident_frames(store, CPU).double()}
    alone = list(batches(store, batch_size, **options).epoch(1))
    ranks = [
        list(batches(store, batch_size, rank=r, world_size=world_size, **options).epoch(1))
        for r in range(world_size)
    ]
    for step, whole in enumerate(alone):
        parts = [rank[step] for rank in ranks]
        assert whole.shares == [len(whole.rows)]
        assert [len(part.clips.start) for part in parts] == shares(len(whole.rows), world_size)
        assert all(np.array_equal(part.rows, whole.rows) for part in parts)
        assert torch.equal(torch.cat([part.uniform for part in parts], dim=1), whole.uniform)
        views = torch.cat([part.views() for part in parts], dim=1)
        torch.testing.assert_close(views, whole.views(), rtol=1e-9, atol=1e-9)


def test_a_failing_worker_and_a_reader_that_stops_end_the_epoch(store):
    broken = batches(store, rows=np.array([0, 1, 10**6, 2]), batch_size=2, workers=2)
    with pytest.raises(IndexError):
        list(broken.epoch(0))
    left = batches(store, batch_size=2, workers=2).epoch(0)
    next(left)
    left.close()  # ends its threads; the test would hang here if it did not


def test_clips_are_those_of_the_store(store):
    rows = np.array([3, 40, 3, 0])
    for frames in (None, resident_frames(store, CPU)):
        clips = load_clips(store, rows, CPU, frames)
        for row, start, length in zip(rows, clips.start, clips.length, strict=True):
            np.testing.assert_array_equal(clips.frames[start : start + length], store.clip(row))
    packed = load_clips(store, rows, CPU)
    assert len(packed.frames) == store.length[rows].sum()
    assert load_clips(store, rows[:0], CPU).resized().shape == (0, 64, 2, 25, 3)
