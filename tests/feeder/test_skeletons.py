import json

import pytest

from common import UserError
from feeder.skeletons import BUILT_IN, NTU, Layout, Skeleton, joint_map
from tests.literal.model import BONES

SIZES = {
    "kinect_v2": 25, "kinect_v1": 20, "azure_kinect": 32, "coco_17": 17, "human36m_17": 17,
    "openpose_25": 25, "openpose_18": 18, "mediapipe_33": 33, "smpl_22": 22,
}  # fmt: skip
SMALL = {
    "name": "small",
    "joints": ["hips", "chest", "left", "right"],
    "parents": ["hips", "hips", "chest", "chest"],
    "origin": ["hips"],
    "shoulders": ["left", "right"],
}


def test_ntu_has_the_bones_origin_and_shoulders_of_the_method():
    assert [(j + 1, parent + 1) for j, parent in enumerate(NTU.skeleton.parents)] == list(BONES)
    assert (NTU.skeleton.origin, NTU.skeleton.shoulders) == ((1,), (4, 8))
    assert NTU.frame_shape == (2, 25, 3) and NTU.frame_size == 150
    assert len(NTU.skeleton.bones) == 24 and (20, 20) not in NTU.skeleton.bones


@pytest.mark.parametrize("name", SIZES)
def test_built_in_skeletons_are_trees_and_survive_json(name):
    skeleton = BUILT_IN[name]
    assert skeleton.num_joints == SIZES[name] == len(skeleton.parents)
    assert len(BUILT_IN) == len(SIZES)
    assert [skeleton.joints[j] for j in skeleton.shoulders] == ["left shoulder", "right shoulder"]
    layout = Layout(skeleton, 1)
    assert Layout.from_plain(json.loads(json.dumps(layout.to_plain()))) == layout


@pytest.mark.parametrize(
    ("name", "places"),
    [  # numbers from the documentation of each format
        ("openpose_25", {0: "nose", 1: "neck", 4: "right wrist", 8: "pelvis", 15: "right eye",
                         19: "left big toe", 24: "right heel"}),
        ("openpose_18", {0: "nose", 1: "neck", 7: "left wrist", 8: "right hip", 17: "left ear"}),
        ("mediapipe_33", {0: "nose", 2: "left eye", 7: "left ear", 10: "mouth right",
                          11: "left shoulder", 16: "right wrist", 23: "left hip",
                          32: "right foot index"}),
        ("smpl_22", {0: "pelvis", 3: "lower spine", 4: "left knee", 9: "chest", 12: "neck",
                     13: "left clavicle", 15: "head", 21: "right wrist"}),
        ("coco_17", {0: "nose", 5: "left shoulder", 10: "right wrist", 16: "right ankle"}),
    ],
)  # fmt: skip
def test_joints_have_the_numbers_of_their_format(name, places):
    assert {number: BUILT_IN[name].joints[number] for number in places} == places


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"joints": ["hips", "hips", "chest", "left", "right"]}, "joints"),
        ({"parents": ["hips", "hips", "chest"]}, "parents"),
        ({"parents": ["hips", "hips", "chest", "neck"]}, "parents"),
        ({"parents": ["hips", "chest", "chest", "chest"]}, "parents"),  # two centers
        ({"parents": ["chest", "hips", "chest", "chest"]}, "parents"),  # no center, a cycle
        ({"origin": []}, "origin"),
        ({"shoulders": ["left", "left"]}, "shoulders"),
        ({"center": "hips"}, "name"),
    ],
)
def test_a_wrong_skeleton_is_refused_by_field(change, field):
    assert Skeleton.from_plain(SMALL).parents == (0, 0, 1, 1)
    with pytest.raises(UserError, match=field):
        Skeleton.from_plain(SMALL | change)


@pytest.mark.parametrize("source", SIZES)
@pytest.mark.parametrize("target", SIZES)
def test_every_built_in_skeleton_becomes_every_other(source, target):
    source, target = BUILT_IN[source], BUILT_IN[target]
    taken = joint_map(source, target)
    assert len(taken) == target.num_joints and all(taken)
    if source == target:
        assert taken == [(joint,) for joint in range(source.num_joints)]
    # Left stays left: a mirrored body becomes the mirrored one.
    for joint, sources in zip(target.joints, taken, strict=True):
        assert "right" not in joint or not any("left" in source.joints[s] for s in sources)


@pytest.mark.parametrize(
    ("joint", "source", "target", "taken"),
    [
        ("left eye", "kinect_v2", "coco_17", "head"),
        ("base of spine", "coco_17", "kinect_v2", "left hip+right hip"),
        ("left thumb", "coco_17", "kinect_v2", "left wrist"),
        ("lower spine", "kinect_v2", "smpl_22", "base of spine+middle of spine"),
        ("left foot", "coco_17", "human36m_17", "left ankle"),  # its only one
        ("left ankle", "human36m_17", "coco_17", "left foot"),
    ],
)
def test_joints_are_taken_by_name_by_place_or_from_neighbors(joint, source, target, taken):
    source, target = BUILT_IN[source], BUILT_IN[target]
    numbers = joint_map(source, target)[target.joints.index(joint)]
    assert "+".join(source.joints[number] for number in numbers) == taken


def test_a_joint_without_a_counterpart_is_named():
    with pytest.raises(UserError, match="'base of spine'"):
        joint_map(Skeleton.from_plain(SMALL), NTU.skeleton)
