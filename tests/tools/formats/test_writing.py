"""Stores in the formats of other codes: what these find there, and exact round trips."""

import pickle

import numpy as np
import pytest

from feeder.skeletons import KINECT_V2
from tests.data_gen.people import as_skeleton, person
from tests.tiny_store import write_store
from tests.tools.formats import foreign
from tests.tools.formats.foreign import pose_pkl

KINDS = ["npz", "pkl", "arrays"]
PEOPLE = [as_skeleton(person(i), KINECT_V2) for i in range(3)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_comes_back_byte_by_byte(converted, imported, tmp_path, kind):
    source = write_store(tmp_path, "ntu60") / "ntu60"
    protocol = () if kind == "pkl" else ("--protocol", "cross_view")
    converted(f"to-{kind}", source, tmp_path / f"a.{kind}", *protocol)
    imported(tmp_path / f"a.{kind}", tmp_path / "back" / "ntu60")
    for file in ("joints.npy", "samples.csv"):
        assert (source / file).read_bytes() == (tmp_path / "back" / "ntu60" / file).read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_store_is_comes_back_too(converted, imported, raw, tmp_path, kind):
    """Title and splits come back too, although the names of the clips do not contain them."""
    foreign.ctrgcn_npz(raw, tmp_path / "PKUv2_XSub.npz", "cross_subject", classes=51)
    first = imported(tmp_path / "PKUv2_XSub.npz", tmp_path / "mine")
    converted(f"to-{kind}", tmp_path / "mine", tmp_path / f"a.{kind}")
    back = imported(tmp_path / f"a.{kind}", tmp_path / "back" / "mine")
    assert back.description == first.description and back.fingerprint == first.fingerprint
    assert back.joints.tobytes() == first.joints.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_of_training_clips_alone_comes_back(converted, imported, tmp_path, kind):
    pose_pkl(tmp_path / "own.pkl", {f"c{i}": one[None] for i, one in enumerate(PEOPLE)}, {})
    first = imported(tmp_path / "own.pkl", tmp_path / "own")
    protocol = () if kind == "pkl" else ("--protocol", "split")
    converted(f"to-{kind}", tmp_path / "own", tmp_path / f"a.{kind}", *protocol)
    back = imported(tmp_path / f"a.{kind}", tmp_path / "back" / "own")
    assert back.description == first.description and back.description.alignment == "upright"
    assert back.joints.tobytes() == first.joints.tobytes()


def test_others_find_what_they_look_for(converted, imported, raw, tmp_path):
    foreign.pyskl_pkl(raw, tmp_path / "a.pkl", {"xsub": "cross_subject"})
    store = imported(tmp_path / "a.pkl", tmp_path / "ntu60")
    rows = store.split("cross_subject")[0]

    converted("to-npz", tmp_path / "ntu60", tmp_path / "b.npz")
    npz = np.load(tmp_path / "b.npz", allow_pickle=False)
    assert npz["x_train"].shape == (len(rows), 300, 150) and npz["x_train"].dtype == np.float32
    assert npz["y_train"].shape == (len(rows), 60) and npz["y_train"].dtype == np.float64
    assert (npz["y_train"].argmax(1) == store.label[rows]).all()
    clip = npz["x_train"][2].reshape(300, 2, 25, 3)
    frames = int((clip.sum((1, 2, 3)) != 0).sum())
    np.testing.assert_array_equal(clip[:frames], store.clip(rows[2]))

    converted("to-pkl", tmp_path / "ntu60", tmp_path / "b.pkl")
    content = pickle.loads((tmp_path / "b.pkl").read_bytes())
    assert set(content["split"]) == {"xsub_train", "xsub_val", "xview_train", "xview_val"}
    for row, clip in enumerate(content["annotations"]):
        assert (clip["frame_dir"], clip["label"]) == (store.names[row], store.label[row])
        assert clip["total_frames"] == store.length[row] == clip["keypoint"].shape[1]
        bodies = store.clip(row).transpose(1, 0, 2, 3)
        assert len(clip["keypoint"]) == (2 if bodies[1].any() else 1)
        np.testing.assert_array_equal(clip["keypoint"], bodies[: len(clip["keypoint"])])

    converted("to-arrays", tmp_path / "ntu60", tmp_path / "b")
    data = np.load(tmp_path / "b" / "train_data_joint.npy", allow_pickle=False)
    frames = np.load(tmp_path / "b" / "train_num_frame.npy")
    assert data.shape == (len(rows), 3, 300, 25, 2) and data.dtype == np.float32
    for row, clip, n in zip(rows, data, frames, strict=True):
        np.testing.assert_array_equal(clip[:, :n].transpose(1, 3, 2, 0), store.clip(row))
        assert not clip[:, n:].any()
    names, labels = pickle.loads((tmp_path / "b" / "train_label.pkl").read_bytes())
    assert names == [store.names[row] for row in rows] and labels == store.label[rows].tolist()


def test_clips_longer_than_usual_make_longer_arrays(converted, tmp_path):
    source = write_store(tmp_path, frames=(10, 333)) / "ntu60"
    converted("to-arrays", source, tmp_path / "padded")
    assert np.load(tmp_path / "padded" / "val_data_joint.npy").shape[2] == 333
