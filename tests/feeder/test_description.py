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
    assert (NTU60.alignment, NTU60.reading, NTU60.checked) == ("kinect", {}, False)


def test_splits_are_rules_over_columns():
    values = np.arange(1, 7)
    assert Split("setup", "even").mask(values).tolist() == [False, True] * 3
    assert Split("setup", "odd").mask(values).tolist() == [True, False] * 3
    assert Split("camera", (2, 3)).mask(values).tolist() == [False, True, True] + 3 * [False]
    assert Split("mine").mask(np.array([0, 1])).tolist() == [False, True]
    with pytest.raises(UserError, match="cross_setup"):
        NTU60.train_mask("cross_setup", {"setup": values})


def test_columns_that_are_no_field_of_every_store_are_further_ones():
    assert NTU60.more_columns == ()
    assert KNOWN["pkummd1"].more_columns == ("cross_subject", "cross_view")


def test_synthetic_recordings_have_another_title_and_no_official_numbers():
    made = synthetic("ntu120")
    assert "NTU" not in made.title and not made.official
    assert made.classes == KNOWN["ntu120"].classes and made.splits == KNOWN["ntu120"].splits


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"format": "umurl store 2"}, "format"),
        ({"bodies": 0}, "bodies"),
        ({"bodies": "2"}, "bodies"),
        ({"skeleton": {}}, "skeleton"),
        ({"classes": []}, "classes"),
        ({"classes": ["a", "a"]}, "classes"),
        ({"classes": ["a", ""]}, "classes"),
        ({"splits": {}}, "splits"),
        ({"splits": {"a b": {"column": "mine", "train": [1]}}}, "splits"),
        ({"splits": {"a": {"column": "frames", "train": [1]}}}, "column"),
        ({"splits": {"a": {"column": "my room", "train": [1]}}}, "column"),
        ({"splits": {"a": {"column": "setup", "train": "prime"}}}, "train"),
        ({"splits": {"a": {"column": "setup", "rule": [1]}}}, "rule"),
        ({"splits": []}, ""),
        ({"official": []}, ""),
        ({"alignment": "mine"}, "alignment"),
    ],
)
def test_a_wrong_description_is_refused_by_field(change, word):
    with pytest.raises(DescriptionError) as refusal:
        Description.from_json(json.dumps(json.loads(NTU60.to_json()) | change))
    assert word in str(refusal.value) and "\n" not in str(refusal.value)


def test_what_is_no_description_is_refused():
    plain = json.loads(NTU60.to_json())
    for key in ("format", "title", "skeleton", "bodies", "classes", "splits", "origin"):
        with pytest.raises(DescriptionError, match=key):
            Description.from_json(json.dumps({k: v for k, v in plain.items() if k != key}))
    for text in ("", "[]", "3", "{"):
        with pytest.raises(DescriptionError):
            Description.from_json(text)
