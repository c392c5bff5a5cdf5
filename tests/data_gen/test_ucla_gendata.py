import itertools
import json

import numpy as np
import pytest

from common import UserError
from data_gen import ucla_gendata
from data_gen.clip import map_joints, prepare_clip
from feeder.skeletons import COCO_17, KINECT_V1, Layout
from feeder.store import open_store

LABELS = {1: 1, 6: 6, 8: 7, 12: 10}  # number in the name: label
NAMES = [
    f"a{action:02d}_s{subject:02d}_e{repetition:02d}_v{view:02d}"
    for action, subject, repetition, view in itertools.product(LABELS, (1, 2), (0, 3), (1, 2, 3))
]


def recorded(name: str) -> np.ndarray:
    """Joints (T, 20, 3) in metres, rounded as in the files."""
    rng = np.random.default_rng(list(name.encode()))
    return np.round(rng.normal((0, 0, 3), 0.4, (int(rng.integers(1, 40)), 20, 3)), 6)


def content(name: str) -> dict:
    label = LABELS[int(name[1:3])]
    return {"file_name": name, "skeletons": recorded(name).tolist(), "label": label}


@pytest.fixture
def raw(tmp_path):
    """The folder all_sqe with 48 clips of random people, in the JSON form of the real files."""
    folder = tmp_path / "raw" / "all_sqe"
    folder.mkdir(parents=True)
    for name in NAMES:
        (folder / f"{name}.json").write_text(json.dumps(content(name)))
    return folder


def prepare(data_path, out_folder, *flags):
    where = ["--data_path", str(data_path), "--out_folder", str(out_folder), "--workers", "1"]
    ucla_gendata.main([*where, *flags])


def test_every_file_becomes_a_clip_of_the_25_joints(raw, tmp_path, capsys):
    prepare(raw, tmp_path)
    store = open_store(tmp_path, "nwucla")
    assert store.names == sorted(NAMES) and store.num_classes == 10
    assert store.title == "NW-UCLA" and store.class_names[7 - 1] == "donning"
    for row, name in enumerate(store.names):
        bodies = recorded(name)
        # Joint 21 is the center of the shoulders, 22 to 25 are the hands, counted from 1.
        more = bodies[:, [3 - 1, 8 - 1, 8 - 1, 12 - 1, 12 - 1]]
        expected = prepare_clip(np.concatenate([bodies, more], axis=1)[:, None])
        np.testing.assert_array_equal(store.clip(row), expected)
        action, subject, repetition, view = (int(name[i : i + 2]) for i in (1, 5, 9, 13))
        fields = store.camera[row], store.subject[row], store.replication[row], store.action[row]
        assert fields == (view, subject, repetition + 1, LABELS[action])
    assert not store.joints[:, 1].any()
    assert "nwucla: 48 clips" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("joints", "skeleton", "name"),
    [("20", KINECT_V1, "nwucla20"), ("coco_17", COCO_17, "nwucla_coco_17")],
)
def test_joints_of_another_skeleton(raw, tmp_path, joints, skeleton, name):
    prepare(raw, tmp_path, "--joints", joints)
    store = open_store(tmp_path, name)
    assert store.layout == Layout(skeleton, 1) and store.description.alignment == "kinect"
    for row, clip in enumerate(store.names):
        body = map_joints(recorded(clip)[:, None], KINECT_V1, skeleton)
        np.testing.assert_array_equal(store.clip(row), prepare_clip(body, store.layout))
    with pytest.raises(SystemExit):
        prepare(raw, tmp_path, "--joints", "19")


NAME = NAMES[5]
WHOLE = content(NAME)
FRAME = [[0.1, 0.2, 3.0]] * 20


@pytest.mark.parametrize(
    "text",
    [
        b"\xff\xfe{",
        b"[1]",
        {"label": WHOLE["label"]},
        WHOLE | {"label": 7},
        WHOLE | {"skeletons": [FRAME[1:]]},
        WHOLE | {"skeletons": [[*FRAME[1:], [None, 2, 3]]]},
        WHOLE | {"skeletons": [FRAME, [*FRAME[1:], [1e9, 2, 3]]]},
        WHOLE | {"skeletons": [[*FRAME[1:], [10**400, 2, 3]]]},
    ],
)
def test_malformed_files_are_left_out_by_name(raw, tmp_path, capsys, text):
    text = text if isinstance(text, bytes) else json.dumps(text).encode()
    (raw / f"{NAME}.json").write_bytes(text)
    prepare(raw, tmp_path)
    assert f"left out, malformed: 1\n  {NAME}.json" in capsys.readouterr().out
    assert NAME not in open_store(tmp_path, "nwucla").names
    with pytest.raises(UserError, match=NAME):
        prepare(raw, tmp_path / "strict", "--strict")
    assert not (tmp_path / "strict" / "nwucla").exists()
