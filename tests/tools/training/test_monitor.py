"""The monitor: it changes no bit of a run, uses no test clip, and its k-NN is exact."""

import io
import math
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from feeder.datasets import NTU_DATASETS
from feeder.description import UNLABELED
from net import MODALITIES
from net.encoder import Encoder
from tests.runs import events, train
from tests.tiny_store import write_store
from tools.evaluation.features import TrainTestSplit
from tools.training import monitor


def test_a_run_is_the_same_with_and_without_it(data_root, tmp_path):
    looked = train(data_root, tmp_path / "a", "--epochs", 3, "--monitor-every", 2)
    blind = train(data_root, tmp_path / "b", "--epochs", 3, "--monitor-every", 0)
    assert all(torch.equal(w, blind["model"][name]) for name, w in looked["model"].items())
    log = events(tmp_path / "a")
    for tag in ("monitor/knn_5", "monitor/knn_5_standardized"):
        points = log.Scalars(tag)
        assert [event.step for event in points] == [0, 4, 6]  # two steps an epoch
        assert all(math.isfinite(event.value) for event in points)
    images = [Image.open(io.BytesIO(e.encoded_image_string)) for e in log.Images("monitor/views")]
    assert len(images) == 3 and (np.array(images[0]) != np.array(images[1])).any()
    text = log.Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "| lr | 0.0005 |" in text
    tags = events(tmp_path / "b").Tags()
    assert not tags["images"] and "monitor/knn_5" not in tags["scalars"]


def test_a_store_without_labels_has_no_accuracy(tmp_path):
    root = write_store(tmp_path / "data", classes=1)
    own = replace(NTU_DATASETS["ntu60"], classes=UNLABELED)
    (root / "ntu60" / "store.json").write_text(own.to_json())
    train(root, tmp_path / "run", "--epochs", 1, "--monitor-every", 1)
    tags = events(tmp_path / "run").Tags()
    assert tags["images"] and "monitor/knn_5" not in tags["scalars"]


def test_queries_are_training_clips_of_other_people(store):
    train_rows, test_rows = store.split("cross_view")
    _, _, bank, queries = monitor.held_out(store, train_rows, seed=0)
    assert set(bank) | set(queries) == set(train_rows)
    assert not set(bank) & set(queries) and not set(queries) & set(test_rows)
    assert not set(store.subject[bank]) & set(store.subject[queries])
    one = train_rows[store.subject[train_rows] == 1]  # of one person
    assert all(len(part) for part in monitor.held_out(store, one, seed=0)[2:])


def test_the_accuracy_is_that_of_the_nearest_clips(store, monkeypatch):
    monkeypatch.setattr(monitor, "NEIGHBORS", 1)
    encoder = Encoder(8)
    rows = np.arange(len(store.names))
    first, second = rows[store.action == 1], rows[store.action == 2]
    for bank, queries, accuracy in ((rows, rows, 100), (first, second, 0)):
        found = monitor.knn_accuracy(encoder, TrainTestSplit(store, "", bank, queries), MODALITIES)
        assert set(found.values()) == {accuracy}
    assert encoder.training
