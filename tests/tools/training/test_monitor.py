"""What a run shows beside its scalars, and that looking changes nothing."""

import io
import math
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

import pretrain
from feeder.store import open_store
from net.encoder import Encoder
from tests.tiny_store import write_store
from tools.drawing import views
from tools.formats import checkpoint
from tools.training import monitor

SCALARS = (
    *("loss/total", "loss/variance", "loss/covariance", "features/std"),
    *("train/gradient_norm", "train/learning_rate", "train/clips_per_second", "monitor/knn_5"),
    "monitor/knn_5_standardized",
)


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("data"), frames=(20, 70))


def train(monkeypatch, data_root, folder, *flags) -> dict:
    argv = ["--data-root", data_root, "--pre-dataset", "ntu60", "--checkpoint-path", folder]
    argv += ["--hidden-size", 8, "--projector-width", 8, "--epochs", 3, "--batch-size", 12]
    argv += ["--schedule", 2, "--workers", 0, *flags]
    monkeypatch.setattr(sys, "argv", ["pretrain.py", *map(str, argv)])
    pretrain.main()
    return checkpoint.load(checkpoint.newest(folder))


def events(folder) -> EventAccumulator:
    found = EventAccumulator(str(folder), {"scalars": 0, "images": 0, "tensors": 0})
    found.Reload()
    return found


@pytest.mark.parametrize("method", ["umurl", "baseline"])
def test_a_run_writes_what_is_promised_and_looking_changes_no_bit(
    method, data_root, tmp_path, monkeypatch
):
    looked = train(monkeypatch, data_root, tmp_path / "a", "--method", method, "--monitor-every", 2)
    blind = train(monkeypatch, data_root, tmp_path / "b", "--method", method, "--monitor-every", 0)
    assert looked["model"].keys() == blind["model"].keys()
    for name, weights in looked["model"].items():
        assert torch.equal(weights, blind["model"][name]), name

    log = events(tmp_path / "a")
    for tag in SCALARS:
        values = [event.value for event in log.Scalars(tag)]
        assert values and all(map(math.isfinite, values)), tag
    rates = [event.value for event in log.Scalars("train/learning_rate")]
    assert rates == pytest.approx([5e-4, 5e-4, 5e-5])
    # Before the first epoch, after the second, after the last: two steps an epoch.
    assert [event.step for event in log.Scalars("monitor/knn_5")] == [0, 4, 6]
    pictures = [Image.open(io.BytesIO(e.encoded_image_string)) for e in log.Images("monitor/views")]
    assert len(pictures) == 3
    assert pictures[0].size == (5 * views.FRAMES * views.SIZE, monitor.CLIPS_SHOWN * views.SIZE)
    assert (np.array(pictures[0]) != np.array(pictures[1])).any(), "each look has views of its own"
    text = log.Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode()
    assert f"| method | {method} |" in text and "| lr | 0.0005 |" in text

    plugin = log.PluginTagToContent("hparams")
    start = HParamsPluginData.FromString(plugin["_hparams_/session_start_info"])
    shown = start.session_start_info.hparams
    assert shown["method"].string_value == method and shown["lr"].number_value == 5e-4
    assert shown["schedule"].string_value == "[2]" and shown["compile"].bool_value is False
    assert "checkpoint_path" not in shown
    experiment = HParamsPluginData.FromString(plugin["_hparams_/experiment"]).experiment
    metrics = {info.name.tag for info in experiment.metric_infos}
    assert metrics == {"loss/total", "monitor/knn_5"} <= set(log.Tags()["scalars"])

    without = events(tmp_path / "b").Tags()
    assert not without["images"] and "monitor/knn_5" not in without["scalars"]


def test_clips_asked_about_are_training_clips_of_other_people(data_root):
    store = open_store(data_root, "ntu60")
    train_rows, test_rows = store.split("cross_view")
    database, queries = monitor.held_out(store, train_rows, seed=0)
    assert set(database) | set(queries) == set(train_rows)
    assert not set(database) & set(queries) and not set(queries) & set(test_rows)
    assert not set(store.subject[database]) & set(store.subject[queries])
    one = train_rows[store.subject[train_rows] == 1]
    database, queries = monitor.held_out(store, one, seed=0)
    assert len(database) and len(queries) and set(database) | set(queries) == set(one)


def test_the_cost_of_a_look_is_bounded(data_root, monkeypatch):
    monkeypatch.setattr(monitor, "DATABASE", 5)
    monkeypatch.setattr(monitor, "QUERIES", 3)
    store = open_store(data_root, "ntu60")
    database, queries = monitor.held_out(store, np.arange(len(store.names)), seed=0)
    assert (len(database), len(queries)) == (5, 3)


def test_the_accuracy_is_that_of_the_nearest_clips(data_root):
    store = open_store(data_root, "ntu60")
    encoder = Encoder(8)
    rows = np.arange(len(store.names))
    # Among themselves the nearest of one is itself; among clips of other classes none is right.
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(monitor, "NEIGHBORS", 1)
        assert monitor.quick_accuracies(encoder, store, rows, rows) == (100, 100)
        first, second = rows[store.action == 1], rows[store.action == 2]
        assert monitor.quick_accuracies(encoder, store, first, second) == (0, 0)
    assert encoder.training
