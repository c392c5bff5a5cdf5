"""Confusion matrices: counts, pairs, files and events against a count by hand."""

import csv
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import confusion_matrix
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from feeder.datasets.ntu import ACTION_NAMES
from tools import cli
from tools.evaluation import confusion

CLASSES = np.array([0, 0, 0, 0, 2, 2, 5, 5, 5])
TAKEN = np.array([0, 0, 2, 5, 2, 2, 0, 0, 7])


def test_counts_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    classes, taken = rng.integers(0, 9, (2, 500))
    found = confusion.confusion(ACTION_NAMES, classes, taken)
    assert (found.matrix == confusion_matrix(classes, taken)).all()
    assert found.names == list(ACTION_NAMES[:9])
    right = np.bincount(classes[classes == taken]) / np.bincount(classes)
    assert found.accuracy() == pytest.approx(100 * right)


def test_only_classes_that_occur_are_named_and_pairs_are_in_order():
    found = confusion.confusion(ACTION_NAMES, CLASSES, TAKEN)
    assert found.names == [ACTION_NAMES[i] for i in (0, 2, 5, 7)]
    assert found.matrix.tolist() == [[2, 1, 1, 0], [0, 2, 0, 0], [2, 0, 0, 1], [0, 0, 0, 0]]
    assert found.accuracy().tolist() == pytest.approx([50, 100, 0, np.nan], nan_ok=True)
    pairs = found.pairs()
    assert [pair[:3] for pair in pairs] == [(2, 0, 2), (2, 3, 1), (0, 1, 1), (0, 2, 1)]
    assert [pair[3] for pair in pairs] == pytest.approx([200 / 3, 100 / 3, 25, 25])
    counted = Counter((c, t) for c, t in zip(CLASSES, TAKEN, strict=True) if c != t)
    assert sum(pair[2] for pair in pairs) == sum(counted.values())


def test_what_is_written_can_be_read_again_and_is_in_the_events(tmp_path):
    found = confusion.confusion(ACTION_NAMES, CLASSES, TAKEN)
    with SummaryWriter(tmp_path / "events") as writer:
        confusion.write(found, tmp_path / "recognition_joint.json", writer)
    again = confusion.read(tmp_path / "recognition_joint_confusion.csv")
    assert again.names == found.names and (again.matrix == found.matrix).all()
    with (tmp_path / "recognition_joint_classes.csv").open(newline="") as file:
        classes = list(csv.DictReader(file))
    assert [(c["class"], c["clips"], c["accuracy"]) for c in classes][:2] == [
        (ACTION_NAMES[0], "4", "50.00"),
        (ACTION_NAMES[2], "2", "100.00"),
    ]
    with (tmp_path / "recognition_joint_pairs.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert (first["class"], first["taken for"]) == (ACTION_NAMES[5], ACTION_NAMES[0])
    with Image.open(tmp_path / "recognition_joint_confusion.png") as picture:
        size = picture.size
    log = EventAccumulator(str(tmp_path / "events"), {"images": 0, "tensors": 0})
    log.Reload()
    (image,) = log.Images("recognition/confusion")
    assert (image.width, image.height) == size
    texts = {
        tag: log.Tensors(f"recognition/{tag}/text_summary")[0].tensor_proto.string_val[0].decode()
        for tag in ("classes", "most confused")
    }
    assert f"| {ACTION_NAMES[0]} | 4 | 50.00 |" in texts["classes"]
    assert f"| {ACTION_NAMES[5]} | {ACTION_NAMES[0]} | 2 | 66.67 |" in texts["most confused"]


def test_the_picture_shows_shares_of_rows_and_takes_120_classes():
    found = confusion.confusion(ACTION_NAMES, CLASSES, TAKEN)
    (axes,) = confusion.draw(found).axes
    assert axes.images[0].get_array()[0].tolist() == pytest.approx([50, 25, 25, 0])
    assert {text.get_text() for text in axes.texts} == {"50", "25", "100", "67", "33"}
    assert axes.get_title().startswith("44.44 %")
    many = confusion.draw(confusion.confusion(ACTION_NAMES, range(120), range(120)))
    assert len(many.axes[0].get_yticklabels()) == 120


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "rows are not the classes"),
        ("class,a,b\na,1,2\nb,3\n", "line 3"),
        ("class,a\na,-1\n", "line 2"),
        ("class,a\nb,1\n", "rows are not the classes"),
    ],
)
def test_a_file_that_is_no_matrix_is_refused(text, reason, tmp_path):
    path = tmp_path / "x_confusion.csv"
    path.write_text(text)
    with pytest.raises(cli.UserError, match=reason):
        confusion.read(path)
