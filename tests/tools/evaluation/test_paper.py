"""The paper's figures stand beside the same evaluation of the same data only."""

from feeder.datasets.ntu import DATASETS
from tools.evaluation import paper


def test_the_papers_figures_are_held_against_the_same_evaluation_only():
    result = {"task": "recognition", "encoder": "pretrained", "dataset": "ntu120"}
    result |= {"protocol": "cross_setup", "modalities": ["joint", "bone", "motion"]}
    result |= {"training_clips": 54468, "test_clips": 59477, "official_clips": [54468, 59477]}
    assert paper.figure(result) == 76.3
    assert paper.figure(result | {"modalities": ["joint"]}) == 74.3
    assert paper.figure(result | {"late_fusion": True}) == 77.2
    assert paper.figure(result | {"task": "retrieval"}) == 62.2
    for other in ({"test_clips": 59_476}, {"training_clips": 5}, {"official_clips": None}):
        assert paper.figure(result | other) is None
    for other in ({"encoder": "random"}, {"finetune": True}, {"label_fraction": 0.1}):
        assert paper.figure(result | other) is None
    trained = {"method": "umurl", "pre_dataset": "ntu120", "protocol": "cross_setup"}
    assert paper.figure(result | {"pretraining": trained}) == 76.3
    for other in ({"method": "baseline"}, {"pre_dataset": "ntu60"}, {"protocol": "cross_subject"}):
        assert paper.figure(result | {"pretraining": trained | other}) is None
    assert paper.figure(result | {"task": "retrieval", "neighbours": 5}) is None
    for other in ({"modalities": ["bone"]}, {"dataset": "pkummd1"}):
        assert paper.figure(result | other) is None
    for name in ("recognition", "retrieval"):
        official = {(d, p) for d, data in DATASETS.items() for p in data.splits}
        assert official <= set(paper.FIGURES[name])
