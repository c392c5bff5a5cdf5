import json

import numpy as np
import pytest

from common import UserError
from data_gen import ucla_gendata
from data_gen.clip import map_joints, prepare_clip
from feeder.skeletons import COCO_17, KINECT_V1
from feeder.store import open_store
from tests.data_gen import raw_ucla


@pytest.fixture
def raw(tmp_path):
    return raw_ucla.write_dataset(tmp_path / "raw")


def prepare(data_path, out_folder, *flags):
    where = ["--data_path", str(data_path), "--out_folder", str(out_folder), "--workers", "1"]
    ucla_gendata.main([*where, *flags])


def test_every_file_becomes_a_clip_of_the_25_joints(raw, tmp_path, capsys):
    prepare(raw, tmp_path)
    store = open_store(tmp_path, "nwucla")
    assert store.names == sorted(raw_ucla.NAMES) and store.num_classes == 10
    assert store.title == "NW-UCLA" and store.class_names[7 - 1] == "donning"
    for row, name in enumerate(store.names):
        bodies = raw_ucla.body(name)
        # Joint 21 is the center of the shoulders, 22 to 25 are the hands, counted from 1.
        more = bodies[:, [3 - 1, 8 - 1, 8 - 1, 12 - 1, 12 - 1]]
        expected = prepare_clip(np.concatenate([bodies, more], axis=1)[:, None])
        np.testing.assert_array_equal(store.clip(row), expected)
        action, subject, repetition, view = (int(name[i : i + 2]) for i in (1, 5, 9, 13))
        fields = store.camera[row], store.subject[row], store.replication[row], store.action[row]
        assert fields == (view, subject, repetition + 1, raw_ucla.LABELS[action])
    assert not store.joints[:, 1].any()
    assert "nwucla: 48 clips" in capsys.readouterr().out


def test_20_joints_stay_20(raw, tmp_path):
    prepare(raw, tmp_path)
    prepare(raw, tmp_path, "--joints", "20")
    all_joints, recorded = open_store(tmp_path, "nwucla"), open_store(tmp_path, "nwucla20")
    assert recorded.layout.frame_shape == (1, 20, 3)
    np.testing.assert_array_equal(recorded.joints, all_joints.joints[:, :1, :20])


def test_joints_of_another_skeleton(raw, tmp_path):
    prepare(raw, tmp_path, "--joints", "coco_17")
    store = open_store(tmp_path, "nwucla_coco_17")
    assert store.skeleton == COCO_17 and store.description.alignment == "kinect"
    for row, name in enumerate(store.names):
        body = map_joints(raw_ucla.body(name)[:, None], KINECT_V1, COCO_17)
        np.testing.assert_array_equal(store.clip(row), prepare_clip(body, store.layout))
    with pytest.raises(SystemExit):
        prepare(raw, tmp_path, "--joints", "19")


NAME = raw_ucla.NAMES[5]
WHOLE = raw_ucla.content(NAME)
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
