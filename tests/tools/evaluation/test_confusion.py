"""Confusion matrices: counts, pairs, files and events against a count by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from feeder.datasets import NTU_ACTIONS
from tests.runs import events
from tools.evaluation import confusion
from tools.formats.tables import read_csv

TRUTH = np.array([0, 0, 0, 0, 2, 2, 5, 5, 5])
TAKEN = np.array([0, 0, 2, 5, 2, 2, 0, 0, 7])
MATRIX = np.array([[2, 1, 1, 0], [0, 2, 0, 0], [2, 0, 0, 1], [0, 0, 0, 0]])
NAMES = [NTU_ACTIONS[i] for i in (0, 2, 5, 7)]  # only classes that occur


def test_what_is_written(tmp_path):
    store = SimpleNamespace(label=TRUTH, class_names=NTU_ACTIONS)
    data = SimpleNamespace(store=store, test=np.arange(9))
    evaluation = SimpleNamespace(data=data, task="recognition", file=lambda x: tmp_path / f"r{x}")
    with SummaryWriter(tmp_path / "events") as writer:
        confusion.write(evaluation, TAKEN[None], writer)
    header, rows = read_csv(tmp_path / "r_confusion.csv")
    assert header[1:] == [row[0] for row in rows] == NAMES
    assert [[int(x) for x in row[1:]] for row in rows] == MATRIX.tolist()
    found = [row[1:] for row in read_csv(tmp_path / "r_classes.csv")[1]]
    assert found == [["4", "50.00"], ["2", "100.00"], ["3", "0.00"], ["0", "nan"]]
    assert [row[:2] + row[3:] for row in read_csv(tmp_path / "r_pairs.csv")[1]] == [
        [NAMES[i], NAMES[j], share]
        for i, j, share in ((2, 0, "66.67"), (2, 3, "33.33"), (0, 1, "25.00"), (0, 2, "25.00"))
    ]
    with Image.open(tmp_path / "r_confusion.png") as picture:
        size = picture.size
    log = events(tmp_path / "events")
    (image,) = log.Images("recognition/confusion")
    assert (image.width, image.height) == size
    (text,) = log.Tensors("recognition/most confused/text_summary")
    assert f"| {NAMES[2]} | {NAMES[0]} | 2 | 66.67 |" in text.tensor_proto.string_val[0].decode()


def test_the_picture_shows_shares_of_rows_and_takes_120_classes():
    (axes,) = confusion.draw(NAMES, MATRIX).axes
    assert axes.images[0].get_array()[0].tolist() == pytest.approx([50, 25, 25, 0])
    assert {text.get_text() for text in axes.texts} == {"0", "50", "25", "100", "67", "33"}
    assert axes.get_title().startswith("44.44 %")
    many = confusion.draw(list(NTU_ACTIONS), np.eye(120, dtype=int))
    assert len(many.axes[0].get_yticklabels()) == 120
