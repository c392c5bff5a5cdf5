"""A store on another skeleton: the same joints by name, the new origin at zero."""

import numpy as np

from feeder.skeletons import COCO_17, KINECT_V2, joint_map
from feeder.store import open_store
from tests.runs import refusal
from tests.tiny_store import write_store
from tests.tools.formats.converting import converted, imported
from tests.tools.formats.foreign import pyskl_pkl
from tools import convert
from tools.evaluation.features import read_recording
from tools.formats.mapping import map_clip


def test_joints_are_those_of_the_same_name_around_the_new_origin(tmp_path):
    write_store(tmp_path, "ntu60")
    before = open_store(tmp_path, "ntu60")
    converted("map", tmp_path / "ntu60", tmp_path / "ntu60_17", "--skeleton", "coco_17")
    after = open_store(tmp_path, "ntu60_17")
    assert after.skeleton == COCO_17 and after.layout.bodies == 2
    assert (after.names, after.protocols) == (before.names, before.protocols)
    assert (after.start == before.start).all() and (after.label == before.label).all()
    left, right = (KINECT_V2.joints.index(f"{side} hip") for side in ("left", "right"))
    for row in range(len(before.names)):
        old, new = before.clip(row).astype(float), after.clip(row)
        origin = old[:, :1, [left, right]].mean(2, keepdims=True)
        for joint, sources in enumerate(joint_map(KINECT_V2, COCO_17)):
            expected = old[:, :, list(sources)].mean(2) - origin[:, :, 0]
            expected[:, 1] *= old[:, 1].any((1, 2))[:, None]  # nobody stays nobody
            np.testing.assert_allclose(new[:, :, joint], expected, atol=1e-5)


def test_a_store_is_mapped_once(tmp_path):
    write_store(tmp_path, "ntu60")
    converted("map", tmp_path / "ntu60", tmp_path / "a", "--skeleton", "coco_17")
    flags = (tmp_path / "a", tmp_path / "b", "--skeleton", "human36m_17")
    assert "Kinect" in refusal(convert.main, "map", *flags) and not (tmp_path / "b").exists()


def test_missing_joints_and_origins():
    clip = np.random.default_rng(0).normal(size=(5, 1, 25, 3)).astype(np.float32)
    clip[:, :, 1] = 0  # the origin
    hips = [KINECT_V2.joints.index(f"{side} hip") for side in ("left", "right")]
    clip[2, 0, hips[0]] = clip[:, 0, KINECT_V2.joints.index("left wrist")] = 0
    mapped = map_clip(clip, KINECT_V2, COCO_17)
    origin = clip[:, 0, hips].mean(1)
    knee = KINECT_V2.joints.index("left knee"), COCO_17.joints.index("left knee")
    np.testing.assert_allclose(
        mapped[2, 0, knee[1]], clip[2, 0, knee[0]] - (origin[1] + origin[3]) / 2, atol=1e-5
    )
    assert not mapped[:, 0, COCO_17.joints.index("left wrist")].any()
    assert not mapped[2, 0, COCO_17.joints.index("left hip")].any()
    clip[:, 0, hips] = 0
    assert map_clip(clip, KINECT_V2, COCO_17) is None


def test_new_recordings_are_read_as_the_store_was_made(raw, tmp_path):
    pyskl_pkl(raw, tmp_path / "a.pkl", {"xsub": "cross_subject"})
    imported(tmp_path / "a.pkl", tmp_path / "ntu60")
    converted("map", tmp_path / "ntu60", tmp_path / "ntu60_17", "--skeleton", "coco_17")
    store = open_store(tmp_path, "ntu60_17")
    description, single = store.description, 0
    for row, name in enumerate(store.names):
        clip = store.clip(row)
        if not clip[:, 1].any():  # of two people the main one may be another
            new = read_recording(raw / f"{name}.skeleton", description)
            np.testing.assert_allclose(new, clip, atol=5e-3)  # float16 in the pickle
            single += 1
    assert single > 2 and description.alignment == "kinect"
