import json
from dataclasses import replace

import numpy as np
import pytest

from common import UserError
from feeder.datasets.known import KNOWN
from feeder.datasets.ntu import synthetic
from feeder.description import Description, Split
from feeder.skeletons import DescriptionError

NTU60 = KNOWN["ntu60"]


@pytest.mark.parametrize("description", [*KNOWN.values(), synthetic("ntu60")])
def test_a_description_survives_json(description):
    own = replace(
        description, alignment="upright", reading={"axes": "y-down", "unit": "mm"}, checked=True
    )
    assert Description.from_json(description.to_json()) == description
    assert Description.from_json(own.to_json()) == own


def test_an_older_description_has_the_published_alignment():
    plain = json.loads(NTU60.to_json())
    for key in ("alignment", "reading", "checked"):
        del plain[key]
    assert Description.from_json(json.dumps(plain)) == NTU60


def test_splits_are_rules_over_columns():
    columns = {"setup": np.arange(1, 7), "mine": np.array([0, 1])}
    rules = {
        Split("setup", "even"): [2, 4, 6],
        Split("setup", "odd"): [1, 3, 5],
        Split("setup", (2, 3)): [2, 3],
        Split("mine"): [1],
    }
    for split, training in rules.items():
        mask = replace(NTU60, splits={"rule": split}).train_mask("rule", columns)
        assert columns[split.column][mask].tolist() == training
    with pytest.raises(UserError, match="cross_setup"):
        NTU60.train_mask("cross_setup", columns)


def test_columns_that_are_no_field_of_every_store_are_further_ones():
    assert NTU60.more_columns == ()
    assert KNOWN["pkummd1"].more_columns == ("cross_subject", "cross_view")


def test_synthetic_recordings_have_another_title_and_no_official_numbers():
    made = synthetic("ntu120")
    assert "NTU" not in made.title and not made.official


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"format": "umurl store 2"}, "format"),
        ({"skeleton": {}}, "skeleton"),
        ({"classes": []}, "classes"),
        ({"classes": ["a", "a"]}, "classes"),
        ({"splits": {}}, "splits"),
        ({"splits": {"a b": {"column": "mine", "train": [1]}}}, "splits"),
        ({"splits": {"a": {"column": "frames", "train": [1]}}}, "column"),
        ({"splits": {"a": {"column": "setup", "train": "prime"}}}, "train"),
        ({"splits": {"a": {"column": "setup", "rule": [1]}}}, "rule"),
    ],
)
def test_a_wrong_description_is_refused_by_field(change, word):
    with pytest.raises(DescriptionError, match=word):
        Description.from_json(json.dumps(json.loads(NTU60.to_json()) | change))


def test_what_is_no_description_is_refused():
    plain = json.loads(NTU60.to_json())
    for key in ("format", "title", "skeleton", "splits"):
        with pytest.raises(DescriptionError, match=key):
            Description.from_json(json.dumps({k: v for k, v in plain.items() if k != key}))
    for text in ("", "[]", "{"):
        with pytest.raises(DescriptionError):
            Description.from_json(text)
