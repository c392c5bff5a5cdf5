"""Stores in the formats of other codes: what these find there, and exact round trips."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from feeder.skeletons import KINECT_V2
from feeder.store import open_store
from tests.data_gen.people import as_skeleton, person
from tests.tiny_store import write_store
from tests.tools.formats import foreign
from tests.tools.formats.converting import converted, imported


def make(name, imported, raw, folder):
    """Write a store of this name; returns a protocol of it."""
    if name == "ntu60":
        write_store(folder, name, frames=(10, 333))  # the usual padding is to 300
        joints = np.load(folder / name / "joints.npy")
        joints[-3:] = 0  # nobody at the end of a clip
        np.save(folder / name / "joints.npy", joints)
        return "cross_view"
    if name == "pku":  # the names of its clips do not tell the split
        foreign.ctrgcn_npz(raw, folder / "PKUv2_XSub.npz", "cross_subject", classes=51)
        imported(folder / "PKUv2_XSub.npz", folder / name)
        return "cross_subject"
    clips = {f"c{i}": as_skeleton(person(i), KINECT_V2)[None] for i in range(3)}
    foreign.pose_pkl(folder / "own.pkl", clips, {})  # training clips alone
    imported(folder / "own.pkl", folder / name)
    return "split"


@pytest.mark.parametrize("kind", ["npz", "pkl", "arrays"])
@pytest.mark.parametrize("name", ["ntu60", "pku", "own"])
def test_a_store_comes_back(raw, tmp_path, name, kind):
    protocol = make(name, imported, raw, tmp_path)
    flags = () if kind == "pkl" else ("--protocol", protocol)
    converted(f"to-{kind}", tmp_path / name, tmp_path / f"a.{kind}", *flags)
    back = imported(tmp_path / f"a.{kind}", tmp_path / "back" / name)
    for file in ("joints.npy", "samples.csv"):
        assert (tmp_path / name / file).read_bytes() == (back.folder / file).read_bytes()
    before = open_store(tmp_path, name).description
    assert replace(back.description, checked=before.checked) == before


def test_a_protocol_without_training_clips_is_left_out_of_a_pkl(tmp_path):
    table = write_store(tmp_path, "ntu60") / "ntu60" / "samples.csv"
    header, *rows = (line.split(",") for line in table.read_text().splitlines())
    rows = [[*row[:2], "1", *row[3:]] for row in rows]  # of camera 1, which tests
    table.write_text("\n".join(map(",".join, [header, *rows])) + "\n")
    converted("to-pkl", tmp_path / "ntu60", tmp_path / "a.pkl")
    split = pickle.loads((tmp_path / "a.pkl").read_bytes())["split"]
    assert set(split) == {"xsub_train", "xsub_val"}


def test_others_find_what_they_look_for(raw, tmp_path):
    foreign.pyskl_pkl(raw, tmp_path / "a.pkl", {"xsub": "cross_subject"})
    store = imported(tmp_path / "a.pkl", tmp_path / "ntu60")
    rows = store.split("cross_subject")[0]

    converted("to-npz", store.folder, tmp_path / "b.npz")
    npz = np.load(tmp_path / "b.npz", allow_pickle=False)
    assert npz["x_train"].shape == (len(rows), 300, 150) and npz["x_train"].dtype == np.float32
    np.testing.assert_array_equal(npz["y_train"], np.eye(60)[store.label[rows]])
    clip = npz["x_train"][2].reshape(300, 2, 25, 3)
    frames = int((clip.sum((1, 2, 3)) != 0).sum())
    np.testing.assert_array_equal(clip[:frames], store.clip(rows[2]))

    converted("to-pkl", store.folder, tmp_path / "b.pkl")
    content = pickle.loads((tmp_path / "b.pkl").read_bytes())
    assert set(content["split"]) == {"xsub_train", "xsub_val", "xview_train", "xview_val"}
    for row, clip in enumerate(content["annotations"]):
        assert (clip["frame_dir"], clip["label"]) == (store.names[row], store.label[row])
        assert clip["total_frames"] == store.length[row] == clip["keypoint"].shape[1]
        bodies = store.clip(row).transpose(1, 0, 2, 3)
        assert len(clip["keypoint"]) == (2 if bodies[1].any() else 1)
        np.testing.assert_array_equal(clip["keypoint"], bodies[: len(clip["keypoint"])])

    converted("to-arrays", store.folder, tmp_path / "b")
    data = np.load(tmp_path / "b" / "train_data_joint.npy", allow_pickle=False)
    counts = np.load(tmp_path / "b" / "train_num_frame.npy")
    assert data.shape == (len(rows), 3, 300, 25, 2) and data.dtype == np.float32
    for row, clip, n in zip(rows, data, counts, strict=True):
        np.testing.assert_array_equal(clip[:, :n].transpose(1, 3, 2, 0), store.clip(row))
        assert not clip[:, n:].any()
    names, labels = pickle.loads((tmp_path / "b" / "train_label.pkl").read_bytes())
    assert names == [store.names[row] for row in rows] and labels == store.label[rows].tolist()
