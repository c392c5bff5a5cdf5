import json
from dataclasses import replace

import numpy as np
import pytest

from common import UserError
from feeder.datasets import KNOWN, synthetic
from feeder.description import Description, Split

NTU60 = KNOWN["ntu60"]


@pytest.mark.parametrize("description", [*KNOWN.values(), synthetic("ntu60")])
def test_a_description_survives_json(description):
    own = {"alignment": "upright", "reading": {"axes": "y-down", "unit": "mm"}, "checked": True}
    for described in (description, replace(description, **own)):
        assert Description.from_json(described.to_json()) == described


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
        description = replace(NTU60, splits={"rule": split})
        assert description.more_columns == ("mine",) * (split.column == "mine")
        mask = description.train_mask("rule", columns)
        assert columns[split.column][mask].tolist() == training
    with pytest.raises(UserError, match="cross_setup"):
        NTU60.train_mask("cross_setup", columns)


@pytest.mark.parametrize("change", [{"format": "umurl store 2"}, {"skeleton": {}}])
def test_a_wrong_description_is_refused_by_field(change):
    with pytest.raises(UserError, match=next(iter(change))):
        Description.from_json(json.dumps(json.loads(NTU60.to_json()) | change))


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_what_is_no_description_is_refused(text):
    with pytest.raises(UserError):
        Description.from_json(text)
