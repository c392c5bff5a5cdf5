import numpy as np
import pytest

from common import UserError
from data_gen import synthetic
from data_gen.key_poses import ACTIONS
from data_gen.readers.skeleton_file import SampleName, read_skeleton_file
from feeder.datasets import LAST_SETUP, NTU_DATASETS
from feeder.skeletons import COCO_17, KINECT_V2

PAIRS = [number for number, action in ACTIONS.items() if action.gap]
HEAD, BASE, SHOULDERS = 3, 0, [4, 8]
ANKLES, FEET = [14, 18], [15, 19]
SIT, JUMP, WALK = 8, 27, 59


def clips(action, people=6, camera=2):
    return [SampleName(1 + p % 2, camera, p, 1, action) for p in range(1, people + 1)]


@pytest.mark.parametrize("size", [(3, 4, 2, 1), (5, 16, 3, 2)])
def test_every_protocol_trains_and_tests_every_action(size):
    samples = synthetic.sample_names(*size)
    assert len(samples) == len(set(samples)) == 3 * size[0] * size[1] * size[3]
    assert samples == sorted(samples)
    columns = dict(zip(SampleName._fields, np.array(samples).T, strict=True))
    action = columns["action"]
    assert len(set(action)) == size[1]
    for name, dataset in NTU_DATASETS.items():
        assert columns["setup"].max() <= LAST_SETUP[name]
        for protocol in dataset.splits:
            train = dataset.train_mask(protocol, columns)
            assert set(action[train]) == set(action[~train]) == set(action)


def test_same_seed_same_bytes_whatever_the_selection_and_the_workers(tmp_path):
    def written(folder, *args):
        synthetic.write_recordings(tmp_path / folder, *args)
        return {path.name: path.read_bytes() for path in (tmp_path / folder).glob("*.skeleton")}

    samples = synthetic.sample_names(3, 3)
    whole = written("a", samples, 4, 2)
    assert len(whole) == len(set(whole.values())) == len(samples) == 27
    some = written("b", samples[5::9][::-1], 4)
    assert len(some) == 3 and some.items() <= whole.items()
    assert not set(written("c", samples[::9], 5).values()) & set(whole.values())


def test_raw_files_hold_what_was_recorded(tmp_path):
    samples = [*clips(PAIRS[0]), *clips(SIT)]
    synthetic.write_recordings(tmp_path, samples)
    for path, sample in zip(sorted(tmp_path.glob("*.skeleton")), sorted(samples), strict=True):
        joints, seen = synthetic.record(sample)
        rows = seen.all(axis=1)
        np.testing.assert_allclose(read_skeleton_file(path)[rows], joints[rows], atol=1e-6)


def test_only_synthetic_recordings_are_replaced(tmp_path):
    raw, real = tmp_path / "raw", tmp_path / "real"
    for actions in (1, 2):
        synthetic.write_recordings(raw, synthetic.sample_names(1, actions))
        assert len(list(raw.glob("*.skeleton"))) == 3 * actions
    real.mkdir()
    (real / "S001C001P001R001A001.skeleton").write_text("real")
    with pytest.raises(UserError):
        synthetic.write_recordings(real, clips(SIT))
    assert [path.read_text() for path in real.iterdir()] == ["real"]


@pytest.mark.parametrize("action", ACTIONS)
def test_bodies_are_rigid_and_stand_on_the_floor(action):
    for sample in clips(action, people=2):
        joints = synthetic.perform(sample)
        frames, people = joints.shape[:2]
        assert 40 <= frames <= 150 and people == (2 if action in PAIRS else 1)
        lengths = np.linalg.norm(joints - joints[:, :, synthetic.PARENT], axis=-1)
        np.testing.assert_allclose(lengths, lengths[:1].repeat(frames, 0), atol=1e-9)
        lowest = joints[..., FEET, 1].min(axis=2)
        assert lowest.min() > -1e-9 and (lowest.max() > 0.1) == (action == JUMP)
        assert np.linalg.norm(np.diff(joints, axis=0), axis=-1).max() < 0.6  # metres in a frame
        assert (joints[..., HEAD, 1] > joints[..., ANKLES, 1].max(axis=-1)).all()


def test_coco_has_the_same_limbs_and_a_face_that_looks_to_the_front():
    joints = synthetic.perform(clips(SIT)[0])  # faces -z
    coco = synthetic.as_coco(joints)
    assert coco.shape == (len(joints), 1, 17, 3)
    limbs = [KINECT_V2.joints.index(name) for name in COCO_17.joints[5:]]
    np.testing.assert_array_equal(coco[:, :, 5:], joints[:, :, limbs])
    nose, left_ear, right_ear = coco[:, 0, 0], coco[:, 0, 3], coco[:, 0, 4]
    assert ((nose - joints[:, 0, HEAD])[:, 2] < -0.05).mean() > 0.9
    assert ((right_ear - left_ear)[:, 0] > 0.05).mean() > 0.9
