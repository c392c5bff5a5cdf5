import json

import pytest

from feeder.skeletons import BUILT_IN, KINECT_V2, NTU, DescriptionError, Layout, Skeleton

# METHOD of the paper: child and parent of each bone, joints counted from 1 as NTU RGB+D does.
NTU_BONES = (
    *((1, 2), (2, 21), (3, 21), (4, 3), (5, 21), (6, 5), (7, 6), (8, 7), (9, 21), (10, 9)),
    *((11, 10), (12, 11), (13, 1), (14, 13), (15, 14), (16, 15), (17, 1), (18, 17), (19, 18)),
    *((20, 19), (21, 21), (22, 23), (23, 8), (24, 25), (25, 12)),
)
SMALL = {
    "name": "small",
    "joints": ["hips", "chest", "left", "right"],
    "parents": ["hips", "hips", "chest", "chest"],
    "origin": ["hips"],
    "shoulders": ["left", "right"],
}


def test_ntu_has_the_bones_origin_and_shoulders_of_the_method():
    assert [(j + 1, parent + 1) for j, parent in enumerate(KINECT_V2.parents)] == list(NTU_BONES)
    assert (KINECT_V2.center, KINECT_V2.origin, KINECT_V2.shoulders) == (20, (1,), (4, 8))
    assert NTU.frame_shape == (2, 25, 3) and NTU.frame_size == 150
    assert len(KINECT_V2.bones) == 24 and (20, 20) not in KINECT_V2.bones


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_skeletons_are_trees_and_survive_json(name):
    skeleton = BUILT_IN[name]
    size = {"kinect_v2": 25, "kinect_v1": 20, "azure_kinect": 32, "coco_17": 17, "human36m_17": 17}
    assert skeleton.num_joints == size[name] == len(skeleton.parents)
    for joint in range(skeleton.num_joints):
        for _ in range(skeleton.num_joints):
            joint = skeleton.parents[joint]
        assert joint == skeleton.center
    assert [skeleton.joints[joint] for joint in skeleton.shoulders] == [
        "left shoulder",
        "right shoulder",
    ]
    layout = Layout(skeleton, 1)
    assert Layout.from_plain(json.loads(json.dumps(layout.to_plain()))) == layout


def test_kinect_v1_is_kinect_v2_without_hands_and_with_the_neck_elsewhere():
    v1, v2 = BUILT_IN["kinect_v1"], BUILT_IN["kinect_v2"]
    onto = {joint: joint for joint in range(20)} | {20: 2}  # NTU's joint 21 is v1's 3
    kept = {
        onto[j]: onto[parent] for j, parent in enumerate(v2.parents) if j < 20 and j not in (2, 3)
    }
    assert {j: v1.parents[j] for j in kept} == kept


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"joints": ["hips", "hips", "left", "right"]}, "joints"),
        ({"joints": ["hips", "chest", "left", ""]}, "shoulders.*right"),
        ({"joints": "hips"}, "joints"),
        ({"parents": ["hips", "hips", "chest"]}, "parents"),
        ({"parents": ["hips", "hips", "chest", "neck"]}, "parents.*neck"),
        ({"parents": ["hips", "chest", "chest", "chest"]}, "parents"),
        ({"parents": ["hips", "left", "chest", "chest"]}, "parents.*circle"),
        ({"parents": [0, 0, 1, 1]}, "parents"),
        ({"origin": []}, "origin"),
        ({"origin": ["hips", "hips"]}, "origin"),
        ({"shoulders": ["left"]}, "shoulders"),
        ({"shoulders": ["left", "left"]}, "shoulders"),
        ({"name": ""}, "name"),
        ({"name": "a\x1b[2J"}, "print"),
        ({"name": 3}, "name"),
        ({"center": "hips"}, "center"),
    ],
)
def test_a_skeleton_that_is_none_is_refused_by_field(change, fault):
    assert Skeleton.from_plain(SMALL).parents == (0, 0, 1, 1)
    with pytest.raises(DescriptionError, match=fault) as refusal:
        Skeleton.from_plain(SMALL | change)
    assert "\n" not in str(refusal.value)


def test_a_field_that_is_missing_is_named():
    for key in SMALL:
        with pytest.raises(DescriptionError, match=key):
            Skeleton.from_plain({k: v for k, v in SMALL.items() if k != key})
    for plain in (None, [], "small"):
        with pytest.raises(DescriptionError):
            Skeleton.from_plain(plain)


@pytest.mark.parametrize("bodies", [0, 17, 1.0, True, "2", None])
def test_a_number_of_bodies_that_is_none_is_refused(bodies):
    with pytest.raises(DescriptionError, match="bodies"):
        Layout(KINECT_V2, bodies)
