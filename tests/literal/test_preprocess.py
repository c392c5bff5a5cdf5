"""The literal preprocessing against the published arrays, and the rules they do not show."""

import pickle

import numpy as np
import pytest

from tests.golden_files import GOLDEN, load
from tests.literal import preprocess

SKELETONS = GOLDEN / "skeletons"


@pytest.mark.parametrize("case", [str(case) for case in load("preprocess")["cases"]])
def test_preprocessing_matches_the_published_arrays(case):
    name, golden = case.split()[0], load("preprocess")
    path = SKELETONS / f"{name}.skeleton"
    (joints,), (num_frames,), (label,) = preprocess.preprocess_part([path])
    expected = golden[f"joints/{name}"]
    assert joints.shape == (3, 300, 25, 2)
    assert num_frames == expected.shape[1]
    np.testing.assert_allclose(joints[:, :num_frames], expected, rtol=0, atol=1e-5)
    assert label == golden[f"label/{name}"]
    part = "train" if preprocess.in_training_set(name, "cross_subject") else "val"
    assert part == golden[f"part_xsub/{name}"]


def test_every_value_of_a_recording_is_read():
    path = SKELETONS / "S002C002P008R002A012.skeleton"
    frames = preprocess.read_skeleton(path)
    values = [len(frames)]
    for bodies in frames:
        values.append(len(bodies))
        for body in bodies:
            values += [body[field] for field in preprocess.BODY_FIELDS]
            values.append(len(body["joints"]))
            values += [j[field] for j in body["joints"] for field in preprocess.JOINT_FIELDS]
    assert values == [float(word) for word in path.read_text().split()]


def body_of(pattern, rng, length=12):
    """A padded body with a random filled frame for each x of the pattern, an empty one else."""
    body = np.zeros((length, 25, 3), np.float32)
    for t, mark in enumerate(pattern):
        if mark == "x":
            body[t] = rng.uniform(1, 2, (25, 3))
    return body


@pytest.mark.parametrize(
    ("pattern", "sources"),
    [
        ("xxx", [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]),
        ("xxxxxxx", [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4]),
        ("..xx.x", [2, 3, 5, 2, 3, 5, 2, 3, 5, 2, 3, 5]),
        ("xx.x", [0, 1, None, 3] * 3),
        ("xxxxxxxxxxxx", list(range(12))),
        ("", 12 * [None]),
    ],
)
def test_repair(pattern, sources, rng):
    body = body_of(pattern, rng)
    before = body.copy()
    preprocess.repair(body)
    for t, source in enumerate(sources):
        np.testing.assert_array_equal(body[t], 0 if source is None else before[source])


def test_equal_energies_put_the_later_slot_first(rng):
    slots = np.stack([body_of("xx", rng), body_of("", rng), body_of("", rng), body_of("", rng)])
    slots[2], slots[3] = slots[0], 2 * slots[0]
    kept = preprocess.choose_bodies(slots)
    np.testing.assert_array_equal(kept, slots[[3, 2]])
    moved = slots[0] + 1  # the same energy at another place
    kept = preprocess.choose_bodies(np.stack([slots[0], moved, slots[1], slots[1]]))
    np.testing.assert_allclose(kept[:, :2].sum(axis=(1, 2, 3)), [moved[:2].sum(), slots[0].sum()])


def test_a_protocol_is_written_in_the_published_layout(tmp_path):
    missing = ("S001C001P001R001A001",)
    preprocess.write_protocol(SKELETONS, "cross_view", tmp_path, missing)
    clips = 0
    for part in ("train", "val"):
        joints = np.load(tmp_path / f"{part}_data_joint.npy")
        num_frames = np.load(tmp_path / f"{part}_num_frame.npy")
        names, labels = pickle.loads((tmp_path / f"{part}_label.pkl").read_bytes())
        assert joints.shape == (len(names), 3, 300, 25, 2)
        assert {name[5:8] for name in names} <= ({"002", "003"} if part == "train" else {"001"})
        assert labels == [int(name[17:20]) - 1 for name in names]
        golden = load("preprocess")
        for i, name in enumerate(names):
            np.testing.assert_allclose(
                joints[i, :, : num_frames[i]], golden[f"joints/{name}"], rtol=0, atol=1e-5
            )
        assert not set(missing) & set(names)
        clips += len(names)
    assert clips == 13
