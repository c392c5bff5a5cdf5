import numpy as np
import pytest

from data_gen.readers.skeleton_file import official_missing, parse_name
from feeder.datasets import KNOWN, LAST_SETUP, NTU_ACTIONS, PKU_ACTIONS
from tests.literal import preprocess as literal


def test_ntu_has_the_published_actions_subjects_and_numbers_of_clips():
    names = NTU_ACTIONS
    assert len(set(names)) == 120 and KNOWN["ntu60"].classes == names[:60]
    assert (names[0], names[49]) == ("drink water", "punching/slapping other person")
    for dataset, clips in (("ntu60", 56_578), ("ntu120", 113_945)):
        official = KNOWN[dataset].official
        assert official.keys() == KNOWN[dataset].splits.keys()
        assert {sum(counts) for counts in official.values()} == {clips}


def test_ntu_is_split_by_subjects_cameras_and_setups():
    grid = np.indices((32, 3, 106)).reshape(3, -1) + 1  # every (setup, camera, subject) once
    columns = dict(zip(("setup", "camera", "subject"), grid, strict=True))

    def training(dataset: str, protocol: str, column: str) -> set[int]:
        return set(columns[column][KNOWN[dataset].train_mask(protocol, columns)].tolist())

    subjects = literal.TRAINING_SUBJECTS
    assert training("ntu120", "cross_subject", "subject") == subjects and len(subjects) == 53
    assert training("ntu60", "cross_subject", "subject") == {s for s in subjects if s <= 40}
    assert training("ntu60", "cross_view", "camera") == literal.TRAINING_CAMERAS
    assert training("ntu120", "cross_setup", "setup") == set(range(2, 33, 2))


def test_pku_has_its_51_actions_in_the_order_of_their_numbers():
    assert len(set(PKU_ACTIONS)) == 51
    assert list(PKU_ACTIONS) == sorted(PKU_ACTIONS)  # as the release numbers them
    assert [PKU_ACTIONS[n - 1] for n in (1, 8, 51)] == ["bow", "drink water", "writing"]


# Recordings of the data sets, those with missing skeletons included: (training, test).
RECORDED = {
    ("ntu60", "cross_subject"): (40_320, 16_560),
    ("ntu60", "cross_view"): (37_920, 18_960),
    ("ntu120", "cross_subject"): (63_360, 51_120),
    ("ntu120", "cross_setup"): (54_720, 59_760),
}


@pytest.mark.parametrize(("dataset", "protocol"), RECORDED)
def test_what_is_recorded_without_the_missing_samples_is_the_official_number(dataset, protocol):
    names = [n for n in official_missing() if parse_name(n).setup <= LAST_SETUP[dataset]]
    setup, camera, subject = np.array([parse_name(name)[:3] for name in names]).T
    columns = {"setup": setup, "camera": camera, "subject": subject}
    train = KNOWN[dataset].train_mask(protocol, columns)
    left = np.subtract(RECORDED[dataset, protocol], (train.sum(), (~train).sum()))
    assert tuple(left) == KNOWN[dataset].official[protocol]
