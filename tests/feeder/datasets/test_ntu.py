import numpy as np
import pytest

from common import UserError
from feeder.datasets.ntu import ACTION_NAMES, DATASETS, TRAIN_SUBJECTS


def test_official_counts_of_a_data_set_agree_between_its_protocols():
    assert DATASETS["ntu60"].num_clips == 56_578
    assert DATASETS["ntu120"].num_clips == 113_945
    for dataset in DATASETS.values():
        assert dataset.official.keys() == dataset.splits.keys()
        assert {sum(counts) for counts in dataset.official.values()} == {dataset.num_clips}


def test_action_names():
    assert len(ACTION_NAMES) == 120 == DATASETS["ntu120"].num_classes
    assert DATASETS["ntu60"].classes == ACTION_NAMES[:60]
    assert len(set(ACTION_NAMES)) == 120
    assert ACTION_NAMES[0] == "drink water"
    assert ACTION_NAMES[49] == "punching/slapping other person"


def test_subjects():
    assert len(set(TRAIN_SUBJECTS)) == 53
    assert sum(subject <= 40 for subject in TRAIN_SUBJECTS) == 20


@pytest.fixture
def columns():
    """Every (setup, camera, subject) once."""
    grid = np.indices((32, 3, 106)).reshape(3, -1) + 1
    return dict(zip(("setup", "camera", "subject"), grid, strict=True))


def test_cross_subject_of_ntu120_knows_subjects_that_ntu60_does_not(columns):
    subjects = np.array(columns["subject"])
    train120 = DATASETS["ntu120"].train_mask("cross_subject", columns)
    train60 = DATASETS["ntu60"].train_mask("cross_subject", columns)
    assert set(subjects[train120]) == set(TRAIN_SUBJECTS)
    assert set(subjects[train60]) == {s for s in TRAIN_SUBJECTS if s <= 40}
    assert train60.dtype == train120.dtype == bool


def test_cross_view_trains_on_cameras_2_and_3(columns):
    train = DATASETS["ntu60"].train_mask("cross_view", columns)
    assert set(columns["camera"][train]) == {2, 3}
    assert set(columns["camera"][~train]) == {1}


def test_cross_setup_trains_on_even_setups(columns):
    train = DATASETS["ntu120"].train_mask("cross_setup", columns)
    assert set(columns["setup"][train]) == set(range(2, 33, 2))


@pytest.mark.parametrize(
    ("protocol", "dataset", "has"),
    [
        ("cross_setup", "ntu60", "cross_subject and cross_view"),
        ("cross_view", "ntu120", "cross_subject and cross_setup"),
        ("xsub", "ntu60", "cross_subject and cross_view"),
    ],
)
def test_what_does_not_fit_is_refused_naming_what_does(protocol, dataset, has, columns):
    with pytest.raises(UserError, match=has):
        DATASETS[dataset].train_mask(protocol, columns)
