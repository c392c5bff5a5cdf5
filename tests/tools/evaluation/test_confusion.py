"""Confusion matrices: counts, pairs, files and events against a count by hand."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from feeder.datasets.ntu import ACTION_NAMES
from tools.evaluation import confusion

CLASSES = np.array([0, 0, 0, 0, 2, 2, 5, 5, 5])
TAKEN = np.array([0, 0, 2, 5, 2, 2, 0, 0, 7])
NAMES = [ACTION_NAMES[i] for i in (0, 2, 5, 7)]


def test_only_classes_that_occur_are_named_and_pairs_are_in_order():
    names, matrix = confusion.confusion(ACTION_NAMES, CLASSES, TAKEN)
    assert names == NAMES
    assert matrix.tolist() == [[2, 1, 1, 0], [0, 2, 0, 0], [2, 0, 0, 1], [0, 0, 0, 0]]
    pairs = confusion.pairs(names, matrix)
    places = [(2, 0, 2), (2, 3, 1), (0, 1, 1), (0, 2, 1)]
    assert [pair[:3] for pair in pairs] == [(NAMES[a], NAMES[b], n) for a, b, n in places]
    assert [pair[3] for pair in pairs] == pytest.approx([200 / 3, 100 / 3, 25, 25])


def test_what_is_written(tmp_path):
    store = SimpleNamespace(label=CLASSES, class_names=ACTION_NAMES)
    data = SimpleNamespace(store=store, test=np.arange(9))
    evaluation = SimpleNamespace(data=data, task="recognition", file=lambda x: tmp_path / f"r{x}")
    with SummaryWriter(tmp_path / "events") as writer:
        confusion.write(evaluation, TAKEN[None], writer)
    tables = {}
    for name in ("confusion", "classes", "pairs"):
        with (tmp_path / f"r_{name}.csv").open(newline="") as file:
            tables[name] = list(csv.reader(file))
    assert tables["confusion"][0] == ["class", *NAMES]
    assert tables["confusion"][3] == [NAMES[2], "2", "0", "0", "1"]
    assert tables["classes"][1:3] == [[NAMES[0], "4", "50.00"], [NAMES[1], "2", "100.00"]]
    assert tables["classes"][3:] == [[NAMES[2], "3", "0.00"], [NAMES[3], "0", "nan"]]
    assert tables["pairs"][1] == [NAMES[2], NAMES[0], "2", "66.67"]
    with Image.open(tmp_path / "r_confusion.png") as picture:
        size = picture.size
    log = EventAccumulator(str(tmp_path / "events"), {"images": 0, "tensors": 0})
    log.Reload()
    (image,) = log.Images("recognition/confusion")
    assert (image.width, image.height) == size
    (text,) = log.Tensors("recognition/most confused/text_summary")
    assert f"| {NAMES[2]} | {NAMES[0]} | 2 | 66.67 |" in text.tensor_proto.string_val[0].decode()


def test_the_picture_shows_shares_of_rows_and_takes_120_classes():
    (axes,) = confusion.draw(*confusion.confusion(ACTION_NAMES, CLASSES, TAKEN)).axes
    assert axes.images[0].get_array()[0].tolist() == pytest.approx([50, 25, 25, 0])
    assert {text.get_text() for text in axes.texts} == {"0", "50", "25", "100", "67", "33"}
    assert axes.get_title().startswith("44.44 %")
    many = confusion.draw(*confusion.confusion(ACTION_NAMES, range(120), range(120)))
    assert len(many.axes[0].get_yticklabels()) == 120
