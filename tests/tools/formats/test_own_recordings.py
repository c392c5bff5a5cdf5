"""Imports of recordings of no known data set: 2-D, other joints, any axes, own splits."""

import json
import pickle

import numpy as np
import pytest

from common import UserError
from data_gen.readers.recording import AXES
from feeder.skeletons import BUILT_IN, COCO_17, KINECT_V2
from tests.data_gen.people import as_skeleton, person
from tests.tools.formats.converting import converted, imported
from tests.tools.formats.foreign import padded_arrays, pose_pkl

OPENPOSE_18 = BUILT_IN["openpose_18"]
NAMES = [f"clip_{i}" for i in range(6)]
SPLIT = {"train": NAMES[:4], "val": NAMES[4:]}


def people(skeleton):
    """{name: (1, T, V, 3)} in the axes of a Kinect."""
    clips = [as_skeleton(person(i, frames=12 + i), skeleton)[None] for i in range(6)]
    return dict(zip(NAMES, clips, strict=True))


def test_2d_poses_of_ntu_become_a_store_of_coco_17_with_its_splits(tmp_path):
    names = [f"S00{1 + i}C00{1 + i % 3}P00{1 + i}R001A00{1 + i % 2}" for i in range(6)]
    pixels = [clip[..., :2] * [400, -400] + [960, 540] for clip in people(COCO_17).values()]
    clips = dict(zip(names, pixels, strict=True))
    split = {"xsub_train": names[:2] + names[3:5], "xsub_val": [names[2], names[5]]}
    pose_pkl(tmp_path / "ntu60_hrnet.pkl", clips, split)
    store = imported(tmp_path / "ntu60_hrnet.pkl", tmp_path / "ntu60_2d")
    assert store.skeleton == COCO_17 and store.layout.bodies == 2 and store.num_classes == 60
    assert store.protocols == ("cross_subject", "cross_view") and store.names == names
    assert [store.names[row] for row in store.split("cross_subject")[0]] == split["xsub_train"]
    assert store.description.alignment == "upright"
    for clip in map(store.clip, range(6)):
        body = clip[:, 0]
        assert not clip[..., 2].any() and not clip[:, 1].any()
        np.testing.assert_allclose(body[:, [11, 12]].mean(1), 0, atol=1e-6)  # hips
        trunk = np.linalg.norm(body[:, [5, 6]].mean(1), axis=-1)  # to the shoulders
        assert np.median(trunk) == pytest.approx(0.5, abs=1e-5)
        assert body[0, 6, 0] > body[0, 5, 0] and (body[:, 0, 1] > 0).all()  # right to +x, upright


@pytest.mark.parametrize(
    ("split", "protocol", "train"),
    [
        (SPLIT, "split", NAMES[:4]),
        ({"train": NAMES[:3], "val": NAMES[3:4], "test": NAMES[4:]}, "split", NAMES[:4]),
        ({"fold_train": NAMES[2:], "fold_test": NAMES[:2]}, "fold", NAMES[2:]),
        ({"train2": NAMES[:1], "test2": NAMES[1:]}, "split2", NAMES[:1]),
        ({}, "split", NAMES),
    ],
)
def test_splits_are_taken_as_they_are(tmp_path, split, protocol, train):
    pose_pkl(tmp_path / "mine.pkl", people(KINECT_V2), split)
    store = imported(tmp_path / "mine.pkl", tmp_path / "mine")
    assert store.protocols == (protocol,) and store.names == NAMES
    assert [store.names[row] for row in store.split(protocol)[0]] == train
    assert store.label.tolist() == [0, 1, 0, 1, 0, 1]


def test_a_split_without_all_clips_is_named_and_leaves_them_out(tmp_path, capsys):
    split = {"train1": NAMES[:2], "test1": NAMES[2:4], "train2": NAMES[:1], "test2": NAMES[1:2]}
    pose_pkl(tmp_path / "mine.pkl", people(KINECT_V2), split)
    for wrong in ((), ("--protocol", "split3")):
        with pytest.raises(UserError, match="--protocol"):
            imported(tmp_path / "mine.pkl", tmp_path / "mine", *wrong)
    store = imported(tmp_path / "mine.pkl", tmp_path / "mine", "--protocol", "split1")
    assert store.names == NAMES[:4] and store.protocols == ("split1",)
    assert NAMES[4] in capsys.readouterr().out


def test_broken_clips_are_left_out_by_name(tmp_path, capsys):
    pose_pkl(tmp_path / "mine.pkl", people(KINECT_V2), SPLIT)
    content = pickle.loads((tmp_path / "mine.pkl").read_bytes())
    broken = content["annotations"]
    broken[0]["keypoint"] = broken[0]["keypoint"] * 1e6
    broken[1]["keypoint"] = None
    broken[2]["total_frames"] = 99
    del broken[4]["label"]
    (tmp_path / "mine.pkl").write_bytes(pickle.dumps(content))
    store = imported(tmp_path / "mine.pkl", tmp_path / "mine")
    said = capsys.readouterr().out
    assert store.names == [NAMES[3], NAMES[5]]
    assert all(name in said for name in (NAMES[0], NAMES[1], NAMES[2], NAMES[4]))
    for annotation in broken:
        annotation.pop("label", None)
    (tmp_path / "mine.pkl").write_bytes(pickle.dumps(content))
    store = imported(tmp_path / "mine.pkl", tmp_path / "unlabeled")
    assert store.names == NAMES[3:] and store.class_names == ["unlabeled"]


@pytest.mark.parametrize("axes", AXES)
def test_other_axes_give_the_same_store(tmp_path, axes):
    clips = people(KINECT_V2)
    pose_pkl(tmp_path / "a.pkl", clips, SPLIT)
    turned = {name: clip @ AXES[axes] for name, clip in clips.items()}  # from y up
    pose_pkl(tmp_path / "b.pkl", turned, SPLIT)
    first = imported(tmp_path / "a.pkl", tmp_path / "a")
    second = imported(tmp_path / "b.pkl", tmp_path / "b", "--axes", axes)
    assert first.description.alignment == "upright"
    assert second.description.reading["axes"] == axes
    np.testing.assert_allclose(first.joints, second.joints, atol=1e-5)
    if axes == "y-down":
        with pytest.raises(UserError, match="--axes"):
            imported(tmp_path / "b.pkl", tmp_path / "c")


def test_arrays_of_other_joints_take_a_skeleton(tmp_path):
    clips = {name: clip.swapaxes(0, 1) for name, clip in people(OPENPOSE_18).items()}
    padded_arrays(tmp_path / "a", "data", clips, NAMES[:4])
    for wrong in ((), ("--skeleton", "coco_17")):
        with pytest.raises(UserError, match="--skeleton"):
            imported(tmp_path / "a", tmp_path / "s", *wrong)
    (tmp_path / "mine.json").write_text(json.dumps(OPENPOSE_18.to_plain()))
    store = imported(tmp_path / "a", tmp_path / "s", "--skeleton", tmp_path / "mine.json")
    assert store.skeleton == OPENPOSE_18 and store.layout.bodies == 1
    assert store.names == NAMES and len(store.split("split")[0]) == 4
    assert store.length.tolist() == [len(clip) for clip in clips.values()]


def test_confidences_are_no_coordinates(tmp_path):
    rng = np.random.default_rng(0)
    clips = people(OPENPOSE_18)
    clips = {name: clip.swapaxes(0, 1) / [4, -4, 1] for name, clip in clips.items()}
    for clip in clips.values():
        clip[..., 2] = rng.uniform(0.3, 0.98, clip.shape[:3])
    padded_arrays(tmp_path / "a", "data", clips, NAMES[:4])
    flags = ("--skeleton", "openpose_18")
    with pytest.raises(UserError):
        imported(tmp_path / "a", tmp_path / "s", *flags)
    store = imported(tmp_path / "a", tmp_path / "s", *flags, "--channels", "xyc")
    assert store.names == NAMES and not np.array(store.joints)[..., 2].any()
    assert (np.array(store.joints)[:, 0, 0, 1] > 0).all()  # the nose is above the hips


@pytest.mark.parametrize(
    "flags",
    [
        ("--axes", "y-up"),
        ("--unit", "mm"),
        ("--channels", "xyz"),
        ("--skeleton", "kinect_v2"),
        ("--protocol", "cross_view"),
        ("--names", "names.txt"),
    ],
)
def test_flags_without_effect_are_refused(data_root, tmp_path, flags):
    names = [f"S001C00{1 + i % 3}P00{1 + i}R001A00{1 + i % 2}" for i in range(6)]
    clips = dict(zip(names, people(KINECT_V2).values(), strict=True))
    pose_pkl(tmp_path / "ntu.pkl", clips, {"xsub_train": names[:4], "xsub_val": names[4:]})
    converted("to-pkl", data_root / "ntu60", tmp_path / "own.pkl")
    for file in ("ntu.pkl", "own.pkl"):
        with pytest.raises(UserError, match=flags[0]):
            imported(tmp_path / file, tmp_path / "ntu60", *flags)
