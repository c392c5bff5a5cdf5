import numpy as np
import pytest

from data_gen.readers.skeleton_file import official_missing, parse_name
from feeder.datasets.ntu import DATASETS, LAST_SETUP

# Recordings of the data sets, those with missing skeletons included: (training, test).
RECORDED = {
    ("ntu60", "cross_subject"): (40_320, 16_560),
    ("ntu60", "cross_view"): (37_920, 18_960),
    ("ntu120", "cross_subject"): (63_360, 51_120),
    ("ntu120", "cross_setup"): (54_720, 59_760),
}


@pytest.mark.parametrize(("dataset", "protocol"), RECORDED)
def test_what_is_recorded_without_the_missing_samples_is_the_official_number(dataset, protocol):
    names = official_missing(LAST_SETUP[dataset])
    setup, camera, subject = np.array([parse_name(name)[:3] for name in names]).T
    columns = {"setup": setup, "camera": camera, "subject": subject}
    train = DATASETS[dataset].train_mask(protocol, columns)
    left = np.subtract(RECORDED[dataset, protocol], (train.sum(), (~train).sum()))
    assert tuple(left) == DATASETS[dataset].official[protocol]
