"""The paper's figures stand beside the same evaluation of the same data only."""

import pytest

from feeder.datasets import NTU_DATASETS
from tools.evaluation import paper

TRAINED = {"method": "umurl", "pre_dataset": "ntu120", "protocol": "cross_setup"}
RESULT = {
    **{"task": "recognition", "encoder": "pretrained", "dataset": "ntu120", "late_fusion": False},
    **{"protocol": "cross_setup", "modalities": ["joint", "bone", "motion"], "neighbours": 1},
    **{"training_clips": 54468, "test_clips": 59477, "official_clips": [54468, 59477]},
    **{"pretraining": TRAINED, "pretraining_data": {}, "samples.csv sha256": "a"},
}


@pytest.mark.parametrize(
    ("change", "figure"),
    [
        ({}, 76.3),
        ({"modalities": ["joint"]}, 74.3),
        ({"late_fusion": True}, 77.2),
        ({"task": "retrieval"}, 62.2),
        ({"test_clips": 59_476}, None),
        ({"official_clips": None}, None),
        ({"encoder": "random"}, None),
        ({"finetune": True}, None),
        ({"label_fraction": 0.1}, None),
        ({"pretraining": TRAINED | {"method": "baseline"}}, None),
        ({"pretraining": TRAINED | {"pre_dataset": "ntu60"}}, None),
        ({"pretraining_data": {"samples.csv sha256": "b"}}, None),
        ({"task": "retrieval", "neighbours": 5}, None),
        ({"modalities": ["bone"]}, None),
    ],
)
def test_the_papers_figures_are_held_against_the_same_evaluation_only(change, figure):
    assert paper.figure(RESULT | change) == figure


def test_all_official_protocols_have_figures():
    official = {(d, p) for d, data in NTU_DATASETS.items() for p in data.splits}
    for name in ("recognition", "retrieval"):
        assert official <= set(paper.FIGURES[name])
