from dataclasses import replace

import numpy as np
import pytest
import torch

from common import UserError
from feeder.batches import TrainingBatches, load_clips, resident_frames
from feeder.mixture import Mixture, by_data_set, clips_an_epoch, epoch_order
from feeder.skeletons import KINECT_V1, Layout
from feeder.store import open_store
from tests.tiny_store import write_store

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    root = tmp_path_factory.mktemp("stores")
    write_store(root, "ntu60", clips=24)
    write_store(root, "ntu120", clips=60, seed=1)
    return tuple(open_store(root, name) for name in ("ntu60", "ntu120"))


def test_several_stores_are_as_one(stores):
    mixture = Mixture(stores)
    frames = resident_frames(mixture, CPU)
    assert len(mixture.names) == len(mixture.start) == 84
    for row, (dataset, name) in enumerate(name.split("/") for name in mixture.names):
        store = stores[dataset == "ntu120"]
        expected = store.clip(store.names.index(name))
        np.testing.assert_array_equal(mixture.clip(row), expected)
        np.testing.assert_array_equal(frames[mixture.start[row] :][: mixture.length[row]], expected)


def test_batches_of_several_stores_hold_their_clips_wherever_the_frames_lie(stores):
    mixture = Mixture(stores)
    rows = np.concatenate([np.arange(0, 24, 2), 24 + np.arange(40)])
    assert mixture.sizes(rows) == (12, 40)
    streamed = TrainingBatches(mixture, rows, 8, 3, CPU, workers=2, weights=(1, 1))
    resident = replace(streamed, frames=resident_frames(mixture, CPU), workers=0)
    seen = []
    for one, other in zip(streamed.epoch(0), resident.epoch(0), strict=True):
        assert torch.equal(one.views(), other.views())
        assert abs((one.rows < 24).mean() - 0.5) <= 0.25
        expected = load_clips(mixture, one.rows, CPU).resized()
        np.testing.assert_array_equal(one.clips.resized(), expected)
        seen += one.rows.tolist()
    assert len(seen) == 52 and set(seen) <= set(rows.tolist())
    times = np.bincount(seen, minlength=84)[:24:2]
    assert times.sum() == 26 and times.min() >= 1 and times.max() <= 3  # of 12 clips


def test_only_stores_of_the_same_skeleton_are_mixed(stores):
    described = replace(stores[1].description, layout=Layout(KINECT_V1, 1))
    with pytest.raises(UserError, match="ntu60"):
        Mixture((stores[0], replace(stores[1], description=described)))


def test_the_split_of_a_mixture_is_that_of_its_stores(stores):
    mixture = Mixture(stores)
    train, test = mixture.split("cross_subject/cross_setup")
    assert sorted([*train, *test]) == list(range(84))
    protocols = ("cross_subject", "cross_setup")
    for number, (store, protocol) in enumerate(zip(stores, protocols, strict=True)):
        inside = train[(train >= 24) == number] - 24 * number
        np.testing.assert_array_equal(inside, store.split(protocol)[0])
    assert by_data_set("a/b", "x") == {"a": "x", "b": "x"}
    with pytest.raises(UserError):
        mixture.split("cross_subject/cross_setup/cross_view")


@pytest.mark.parametrize(("seed", "epoch", "weights"), [(0, 0, ()), (7, 450, ()), (7, 1, (3.5,))])
def test_a_single_data_set_is_drawn_as_ever(seed, epoch, weights):
    alone = np.random.default_rng([seed, epoch]).permutation(101)
    np.testing.assert_array_equal(epoch_order([101], weights, seed, epoch), alone)


@pytest.mark.parametrize("weights", [(), (2, 1, 1), (0.1, 0.2, 0.7)])
def test_each_batch_holds_each_share(weights):
    sizes = np.array([400, 70, 130])
    shares = np.array(weights or sizes) / sum(weights or sizes)
    for epoch in range(3):
        order = epoch_order(sizes, weights, 5, epoch)
        assert len(order) == 600 and (weights or len(set(order)) == 600)
        store = np.searchsorted(np.cumsum(sizes), order, side="right")
        for begin in range(0, 600, 50):
            found = np.bincount(store[begin : begin + 50], minlength=3)
            assert np.abs(found - 50 * shares).max() <= 1.5  # one, and the rounding of the epoch


def test_a_clip_comes_again_only_after_all_others_of_its_data_set():
    sizes, weights = [30, 10], (1, 3)
    orders = [epoch_order(sizes, weights, 2, epoch) for epoch in range(5)]
    assert clips_an_epoch(sizes, weights) == [10, 30]
    small = [order[order >= 30] for order in orders]
    large = np.concatenate([order[order < 30] for order in orders])
    for drawn in small:  # three times around an epoch
        assert all(sorted(drawn[i : i + 10]) == list(range(30, 40)) for i in (0, 10, 20))
    assert sorted(large[:30]) == list(range(30)) and len(set(large[30:])) == 20
    assert (small[0][:10] != small[0][10:20]).any()


def test_a_share_too_small_for_a_clip_is_refused():
    with pytest.raises(UserError, match=r"--mix.*data set 2"):
        clips_an_epoch([30, 10], (1, 0.001))
