import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from common import UserError
from data_gen import own_gendata
from data_gen.readers.skeleton_file import SYNTHETIC_MARK
from feeder.skeletons import BUILT_IN, COCO_17, KINECT_V1
from feeder.store import open_store
from tests.data_gen.people import as_skeleton, person
from tests.data_gen.raw_files import GOLDEN

RAW = sorted((GOLDEN / "skeletons").glob("*.skeleton"))[:4]
V1 = ("--skeleton", "kinect_v1", "--bodies", 1)
NAMES = ("a0", "b1", "a2", "b3")


def prepare(folder: Path, *flags: object, clips: Path | None = None, name: str = "mine"):
    where = ["--name", name, "--clips", clips or folder / "clips.csv"]
    where += ["--out_folder", folder / "out", "--workers", 1]
    own_gendata.main([*map(str, (*where, *flags))])
    return open_store(folder / "out", name)


def write_table(folder: Path, *lines: str) -> Path:
    (folder / "clips.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def arrays(tmp_path):
    for i, name in enumerate(NAMES):
        np.save(tmp_path / f"{name}.npy", person(i, 10 + i).astype(np.float32))
    lines = ("a0.npy,wave,1,train", "b1.npy,bow,1,train", "a2.npy,wave,2,test", "b3.npy,bow,2,test")
    return write_table(tmp_path, "file,label,subject,split", *lines)


def test_synthetic_recordings_are_never_named_own(arrays, tmp_path):
    assert prepare(tmp_path, *V1).description.origin.startswith("own ")
    (tmp_path / SYNTHETIC_MARK).touch()
    made = prepare(tmp_path, *V1).description
    assert made.title == "synthetic recordings" and made.origin.startswith("synthetic ")


def test_raw_files_of_any_name_and_all_columns_of_a_table(tmp_path, capsys):
    (tmp_path / "day 1").mkdir()
    files = ["day 1/Ärger, laut.skeleton", "day 1/b.c.skeleton", "z.skeleton", "a.skeleton"]
    for raw, file in zip(RAW, files, strict=True):
        shutil.copy(raw, tmp_path / file)
    lines = ('"day 1/Ärger, laut.skeleton",shout,anna,1,train,x',
             "day 1/b.c.skeleton,bow,bert,2,Train,", "z.skeleton,bow,anna,3,test,y",
             f"{tmp_path}/a.skeleton,shout,carl,1,TEST,z")  # fmt: skip
    write_table(tmp_path, "file,label,subject,camera,split,notes", *lines)
    store = prepare(tmp_path, "--title", "Moods")
    assert store.names == ["a", "day 1/b.c", "day 1/Ärger, laut", "z"]
    assert store.title == "Moods" and store.class_names == ["bow", "shout"]
    assert store.action.tolist() == [2, 1, 2, 1]
    assert store.subject.tolist() == [3, 2, 1, 1] and store.camera.tolist() == [1, 2, 1, 3]
    assert [part.tolist() for part in store.split("split")] == [[1, 2], [0, 3]]
    assert store.description.alignment == "upright"
    assert "subject numbered" in capsys.readouterr().out


def test_labels_that_are_numbers_and_several_splits(arrays):
    lines = (arrays / "clips.csv").read_text().replace("wave", "10").replace("bow", "9")
    more = zip(lines.splitlines(), ("by_room", *"1001"), strict=True)
    write_table(arrays, *(f"{line};{column}".replace(",", ";") for line, column in more))
    store = prepare(arrays, *V1, "--splits", "by_room", "split")
    assert store.class_names == ["9", "10"] and store.action.tolist() == [2, 2, 1, 1]
    assert store.protocols == ("by_room", "split")
    assert [part.tolist() for part in store.split("by_room")] == [[0, 3], [1, 2]]


@pytest.mark.parametrize("parts", [("train", "train", "val", "val"), ("train", "val", "test", "0")])
def test_val_is_test_or_training_if_there_is_test(arrays, parts):
    rows = zip(NAMES, parts, strict=True)
    write_table(arrays, "file,label,split", *(f"{name}.npy,a,{part}" for name, part in rows))
    assert prepare(arrays, *V1).split("split")[0].tolist() == [0, 2]


def test_without_splits_all_clips_train(arrays, capsys):
    store = prepare(write_table(arrays, "file,label", *(f"{name}.npy,a" for name in NAMES)), *V1)
    train, test = store.split("split")
    assert len(train) == 4 and not len(test) and store.class_names == ["a"]
    assert "all clips are training clips" in capsys.readouterr().out


def test_a_folder_without_a_table(arrays):
    (arrays / "deep").mkdir()
    (arrays / "b1.npy").rename(arrays / "deep" / "b1.npy")
    (arrays / "._a0.npy").write_bytes(b"\0\5\26\7")
    store = prepare(arrays, *V1, clips=arrays)
    assert store.names == ["a0", "a2", "b3", "deep/b1"]
    np.savetxt(arrays / "a0.csv", person(0).reshape(20, -1), delimiter=",")
    with pytest.raises(UserError, match="a0"):
        prepare(arrays, *V1, clips=arrays)
    (arrays / "empty").mkdir()
    with pytest.raises(UserError, match="empty"):
        prepare(arrays, *V1, clips=arrays / "empty")


def test_options_are_in_the_store_and_make_it(arrays):
    expected = prepare(arrays, *V1)
    for path in arrays.glob("*.npy"):
        np.save(path, np.load(path).astype(float) @ np.diag([1, -1, -1]) * 1000)
    options = ("--axes", "y-down", "--unit", "mm", "--fill-gaps", 3)
    store = prepare(arrays, *V1, *options, name="other")
    np.testing.assert_allclose(store.joints, expected.joints, atol=1e-5)
    reading = store.description.reading
    assert (reading["axes"], reading["unit"], reading["fill_gaps"]) == ("y-down", "mm", 3)


def test_joints_of_another_skeleton(arrays):
    store = prepare(arrays, *V1, "--joints", "coco_17")
    assert store.skeleton == COCO_17
    assert store.description.reading["skeleton"] == KINECT_V1.to_plain()
    for path in arrays.glob("*.npy"):
        np.save(path, as_skeleton(np.load(path), COCO_17))
    same = prepare(arrays, "--skeleton", "coco_17", "--bodies", 1, name="same")
    np.testing.assert_allclose(store.joints, same.joints, atol=1e-5)


def test_a_skeleton_may_be_described(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        own_gendata.main(["--print-skeleton", "azure_kinect"])
    plain, azure = json.loads(capsys.readouterr().out), BUILT_IN["azure_kinect"]
    assert end.value.code == 0 and plain == azure.to_plain()
    (tmp_path / "s.json").write_text(json.dumps(plain | {"name": "mine"}))
    np.save(tmp_path / "a.npy", as_skeleton(person(0), azure))
    write_table(tmp_path, "file", "a.npy")
    store = prepare(tmp_path, "--skeleton", tmp_path / "s.json", "--bodies", 1)
    assert store.skeleton.name == "mine" and store.skeleton.joints == azure.joints


def test_the_table_may_be_elsewhere(arrays, tmp_path_factory):
    expected = prepare(arrays, *V1)
    table = shutil.move(arrays / "clips.csv", tmp_path_factory.mktemp("table"))
    store = prepare(arrays, *V1, "--data_path", arrays, clips=table, name="two")
    assert store.fingerprint == expected.fingerprint
    np.testing.assert_array_equal(store.joints, expected.joints)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's VmHWM")
def test_an_hour_in_one_file_needs_bounded_memory(tmp_path):
    hour = np.resize(person(0, 300).astype(np.float32), (108_000, 20, 3))  # at 30 frames a second
    np.save(tmp_path / "hour.npy", hour)
    program = (
        "import sys; from data_gen.own_gendata import main; main(sys.argv[1:]); "
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    flags = ["--name", "long", "--clips", tmp_path, "--out_folder", tmp_path / "out"]
    command = [sys.executable, "-c", program, *map(str, (*flags, *V1, "--workers", 1))]
    root = Path(own_gendata.__file__).parents[1]
    peak = int(subprocess.check_output(command, cwd=root, text=True).split()[-2]) / 1024  # MB
    assert open_store(tmp_path / "out", "long").length.tolist() == [108_000]
    assert peak < 600


def test_files_that_cannot_be_used_and_bridged_anchors_are_named(arrays, capsys):
    np.save(arrays / "a0.npy", person(0)[:, :17])
    (arrays / "a2.npy").unlink()
    np.save(arrays / "b3.npy", person(0) * 0)
    body = np.load(arrays / "b1.npy")
    body[0, [1, 4]] = 0  # spine and left shoulder
    np.save(arrays / "b1.npy", body)
    assert prepare(arrays, *V1).names == ["b1"]
    out = capsys.readouterr().out
    assert all(f"{name}.npy" in out for name in ("a0", "a2", "b3"))
    assert "later frame: 1\n  b1\n" in out and "origin bridged: 1\n  b1\n" in out
    with pytest.raises(UserError, match=r"a0\.npy"):
        prepare(arrays, *V1, "--strict", name="strict")
    assert os.listdir(arrays / "out") == ["mine"]


HEAD_DOWN, LYING = np.diag([1, -1, -1]), np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])


@pytest.mark.parametrize(
    ("axes", "flags"), [(HEAD_DOWN, ()), (HEAD_DOWN, ("--axes", "y-up")), (LYING, ())]
)
def test_people_who_stand_on_their_heads_or_lie_name_the_flag(arrays, axes, flags):
    for path in arrays.glob("*.npy"):
        np.save(path, np.load(path) @ axes.T)
    with pytest.raises(UserError, match="--axes"):
        prepare(arrays, *V1, *flags)
    assert not os.listdir(arrays / "out")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("file", "path", "'file'"),
        (",train", "", "line 2"),
        ("train", "some", "line 2: split"),
        ("wave", "", "line 2: label"),
        ("b1", "a0", "a0.npy"),
        ("a0", "../a0", "a0.npy"),
        (".npy", ".gone", "no clip"),
    ],
)
def test_faults_of_the_table_end_the_run(arrays, old, new, said):
    text = (arrays / "clips.csv").read_text()
    write_table(arrays, text.replace(old, new, 1 if said != "no clip" else -1))
    with pytest.raises(UserError, match=said):
        prepare(arrays, *V1)
    assert not (arrays / "out").exists() or not os.listdir(arrays / "out")


@pytest.mark.parametrize(
    "flags",
    [
        ("--name", "ntu60"),
        ("--name", "nwucla"),
        ("--unit", "px", "--channels", "xyz"),
        ("--axes", "z-up", "--channels", "xyc"),
        ("--min-confidence", 0.5, "--channels", "xyz"),
    ],
)
def test_wrong_flags(arrays, capsys, flags):
    with pytest.raises(SystemExit) as end:
        prepare(arrays, *flags)
    assert end.value.code == 2
    assert flags[0] in capsys.readouterr().err
