import json

import numpy as np
import pytest

from feeder.datasets.known import KNOWN
from feeder.datasets.ntu import synthetic
from feeder.description import Description, Split
from feeder.skeletons import DescriptionError


@pytest.mark.parametrize("description", [*KNOWN.values(), synthetic("ntu60")])
def test_a_description_survives_json(description):
    assert Description.from_json(description.to_json()) == description


def test_splits_are_rules_over_columns():
    values = np.arange(1, 7)
    assert Split("setup", "even").mask(values).tolist() == [False, True] * 3
    assert Split("setup", "odd").mask(values).tolist() == [True, False] * 3
    assert Split("camera", (2, 3)).mask(values).tolist() == [False, True, True] + 3 * [False]
    assert Split("mine").mask(np.array([0, 1])).tolist() == [False, True]


def test_columns_that_are_no_field_of_every_store_are_further_ones():
    assert KNOWN["ntu60"].more_columns == ()
    assert KNOWN["pkummd1"].more_columns == ("cross_subject", "cross_view")


def test_synthetic_recordings_have_another_title_and_no_official_numbers():
    made = synthetic("ntu120")
    assert "NTU" not in made.title and made.num_clips is None
    assert made.classes == KNOWN["ntu120"].classes and made.splits == KNOWN["ntu120"].splits


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"format": "umurl store 2"}, "format"),
        ({"title": ""}, "title"),
        ({"title": 5}, "title"),
        ({"origin": None}, "origin"),
        ({"title": "a\nb"}, "text"),
        ({"classes": ["a\x1b[2J"]}, "text"),
        ({"command": ""}, "command"),
        ({"bodies": 0}, "bodies"),
        ({"bodies": "2"}, "bodies"),
        ({"skeleton": {}}, "skeleton"),
        ({"classes": []}, "classes"),
        ({"classes": ["a", "a"]}, "classes"),
        ({"classes": ["a", 3]}, "classes"),
        ({"classes": {"a": 1}}, "classes"),
        ({"splits": {}}, "splits"),
        ({"splits": {"a b": {"column": "mine", "train": [1]}}}, "splits"),
        ({"splits": {"a": {"column": "frames", "train": [1]}}}, "column"),
        ({"splits": {"a": {"column": "mine", "train": [2]}}}, "train"),
        ({"splits": {"a": {"column": "setup", "train": "prime"}}}, "train"),
        ({"splits": {"a": {"column": "setup", "train": []}}}, "train"),
        ({"splits": {"a": {"column": "setup", "train": [True]}}}, "train"),
        ({"splits": {"a": {"column": "setup"}}}, "train"),
        ({"splits": []}, "splits"),
        ({"official": {"other": [1, 2]}}, "official"),
        ({"official": {"cross_subject": [1]}}, "official"),
        ({"official": []}, "official"),
        ({"more": 1}, "more"),
    ],
)
def test_a_description_that_is_none_is_refused_by_field(change, fault):
    plain = json.loads(KNOWN["ntu60"].to_json())
    with pytest.raises(DescriptionError, match=fault) as refusal:
        Description.from_json(json.dumps(plain | change))
    assert "\n" not in str(refusal.value)


def test_each_field_is_needed():
    plain = json.loads(KNOWN["ntu60"].to_json())
    for key in plain:
        with pytest.raises(DescriptionError, match=key):
            Description.from_json(json.dumps({k: v for k, v in plain.items() if k != key}))
    for text in ("", "[]", "3", "{", "[" * 100_000):
        with pytest.raises(DescriptionError):
            Description.from_json(text)
