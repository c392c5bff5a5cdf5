"""The user's own recordings become a store; messages name file, line and column."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import action_retrieval
import pretrain
from common import UserError
from data_gen import ntu_gendata, own_gendata, synthetic
from data_gen.clip import prepare_clip
from data_gen.readers.skeleton_file import read_skeleton_file
from feeder.skeletons import AZURE_KINECT, COCO_17
from feeder.store import open_store
from tests.data_gen.raw_files import GOLDEN
from tests.runs import call, pretraining

RAW = sorted((GOLDEN / "skeletons").glob("*.skeleton"))[:4]


def prepare(folder: Path, *flags: object, name: str = "mine") -> None:
    """Run the command on FOLDER/clips.csv; the store goes to FOLDER/out."""
    where = ["--name", name, "--clips", folder / "clips.csv", "--out_folder", folder / "out"]
    own_gendata.main([*map(str, (*where, "--workers", "1", *flags))])


def write_table(folder: Path, *lines: str) -> Path:
    (folder / "clips.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def walk(frames: int, joints: int, bodies: int = 1, seed: int = 0) -> np.ndarray:
    """Bodies (T, M, V, 3) in metres with random movements."""
    rng = np.random.default_rng(seed)
    pose = rng.normal((0, 0, 3), 0.4, (1, bodies, joints, 3))
    return pose + rng.normal(0, 0.02, (frames, bodies, joints, 3)).cumsum(0)


@pytest.fixture
def arrays(tmp_path):
    """Write four arrays with the joints of COCO, and their table."""
    for i in range(4):
        np.save(tmp_path / f"{'ab'[i % 2]}{i}.npy", walk(10 + i, 17, seed=i).astype(np.float32))
    lines = ("a0.npy,wave,1,train", "b1.npy,bow,1,train", "a2.npy,wave,2,test", "b3.npy,bow,2,test")
    return write_table(tmp_path, "file,label,subject,split", *lines)


# ---- what comes out


def test_raw_files_of_any_name_are_prepared_as_those_of_ntu(tmp_path, capsys):
    (tmp_path / "day 1").mkdir()
    files = ["day 1/Ärger, laut.skeleton", "day 1/b.c.skeleton", "z.skeleton", "a.skeleton"]
    for raw, file in zip(RAW, files, strict=True):
        shutil.copy(raw, tmp_path / file)
    write_table(
        tmp_path,
        "file,label,subject,camera,split,notes",
        '"day 1/Ärger, laut.skeleton",shout,anna,1,train,x',
        "day 1/b.c.skeleton,bow,bert,2,Train,",
        "z.skeleton,bow,anna,3,test,y",
        "a.skeleton,shout,carl,1,TEST,z",
    )
    prepare(tmp_path, "--title", "Moods")
    store = open_store(tmp_path / "out", "mine")
    assert store.names == ["a", "day 1/b.c", "day 1/Ärger, laut", "z"]
    assert store.title == "Moods" and store.class_names == ["bow", "shout"]
    assert store.action.tolist() == [2, 1, 2, 1]
    assert store.subject.tolist() == [3, 2, 1, 1] and store.camera.tolist() == [1, 2, 1, 3]
    assert [part.tolist() for part in store.split("split")] == [[1, 2], [0, 3]]
    by_name = {
        Path(file).with_suffix("").as_posix(): raw for raw, file in zip(RAW, files, strict=True)
    }
    for row, name in enumerate(store.names):
        expected = prepare_clip(read_skeleton_file(by_name[name]))
        np.testing.assert_array_equal(store.clip(row), expected)
    out = capsys.readouterr().out
    assert "split: 2 training and 2 test clips" in out and "subject" in out


@pytest.mark.parametrize("form", ["npy", "csv", "csv with a heading"])
@pytest.mark.parametrize(("bodies", "unit"), [(1, "m"), (2, "mm")])
def test_arrays_of_fewer_joints_stay_fewer(tmp_path, form, bodies, unit):
    clips = [walk(frames, 17, bodies, seed=frames) for frames in (5, 9)]
    scale = {"m": 1, "mm": 1000}[unit]
    for i, clip in enumerate(clips):
        if form == "npy":
            np.save(tmp_path / f"{i}.npy", (clip * scale)[:, 0] if bodies == 1 else clip * scale)
        else:
            heading = ",".join(f"v{k}" for k in range(bodies * 51)) if "heading" in form else ""
            rows = (clip * scale).reshape(len(clip), -1)
            np.savetxt(tmp_path / f"{i}.csv", rows, "%.9f", ",", header=heading, comments="")
            text = (tmp_path / f"{i}.csv").read_text()
            (tmp_path / f"{i}.csv").write_text(text.lstrip())
    suffix = form[:3]
    write_table(tmp_path, "file;label;split", f"0.{suffix};9;train", f"1.{suffix};10;test")
    flags = ("--skeleton", "coco_17", "--bodies", bodies, "--unit", unit)
    prepare(tmp_path, *flags)
    store = open_store(tmp_path / "out", "mine")
    assert store.layout.skeleton == COCO_17 and store.joints.shape[1:] == (bodies, 17, 3)
    assert store.class_names == ["9", "10"] and store.action.tolist() == [1, 2]
    for row, clip in enumerate(clips):
        np.testing.assert_allclose(store.clip(row), prepare_clip(clip, store.layout), atol=1e-6)
    hips = np.array(store.joints, float)[:, 0, [11, 12]].mean(1)
    np.testing.assert_allclose(hips, 0, atol=1e-6)
    for start in store.start:
        line = store.joints[start, 0, 6] - store.joints[start, 0, 5]
        assert line[0] > 0 and np.abs(line[1:]).max() < 1e-5


def test_a_skeleton_may_be_described(tmp_path):
    plain = AZURE_KINECT.to_plain() | {"name": "mine"}
    (tmp_path / "s.json").write_text(json.dumps(plain))
    np.save(tmp_path / "a.npy", walk(4, 32))
    np.save(tmp_path / "b.npy", walk(4, 32))
    write_table(tmp_path, "file,label,split", "a.npy,x,train", "b.npy,x,test")
    prepare(tmp_path, "--skeleton", tmp_path / "s.json", "--bodies", 1)
    assert open_store(tmp_path / "out", "mine").skeleton.name == "mine"
    plain["shoulders"] = ["left shoulder", "no joint"]
    (tmp_path / "s.json").write_text(json.dumps(plain))
    with pytest.raises(SystemExit) as end:
        prepare(tmp_path, "--skeleton", tmp_path / "s.json")
    assert end.value.code == 2


def test_several_splits_are_protocols(arrays):
    lines = (arrays / "clips.csv").read_text().splitlines()
    lines = [f"{line},{more}" for line, more in zip(lines, ("by_room", *"1001"), strict=True)]
    write_table(arrays, *lines)
    flags = ("--skeleton", "coco_17", "--splits", "by_room", "split")
    prepare(arrays, *flags)
    store = open_store(arrays / "out", "mine")
    assert store.protocols == ("by_room", "split")
    assert [part.tolist() for part in store.split("by_room")] == [[0, 3], [1, 2]]


def test_other_folders_and_workers_give_the_same_bytes(arrays, tmp_path):
    (tmp_path / "table").mkdir()
    shutil.move(arrays / "clips.csv", tmp_path / "table")
    for out, workers in (("one", 1), ("two", 3)):
        flags = ["--name", "mine", "--clips", tmp_path / "table/clips.csv", "--data_path", arrays]
        flags += ["--skeleton", "coco_17", "--workers", workers, "--out_folder", tmp_path / out]
        own_gendata.main([*map(str, flags)])
    for file in os.listdir(tmp_path / "one/mine"):
        one, two = ((tmp_path / out / "mine" / file).read_bytes() for out in ("one", "two"))
        assert one == two


# ---- what is left out, what ends the run


BAD_FILES = {
    "another number of joints": (lambda p: np.save(p, walk(5, 25)), "17"),
    "two coordinates": (lambda p: np.save(p, walk(5, 17)[..., :2]), "(5, 1, 17, 2)"),
    "other axes": (lambda p: np.save(p, np.zeros((3, 5, 17, 1))), "(3, 5, 17, 1)"),
    "texts": (lambda p: np.save(p, np.full((5, 17, 3), "a")), "<U1"),
    "objects": (lambda p: np.save(p, np.array([{}] * 3), allow_pickle=True), "a0.npy"),
    "not a number": (lambda p: np.save(p, np.full((5, 17, 3), np.nan)), "frame 1"),
    "millimetres": (lambda p: np.save(p, walk(5, 17) * 1000), "frame 1"),
    "millimetres around zero": (lambda p: np.save(p, (walk(5, 17) - (0, 0, 3)) * 99), "--unit"),
    "no frame": (lambda p: np.save(p, np.zeros((0, 17, 3))), "a0.npy"),
    "half a file": (lambda p: p.write_bytes(p.read_bytes()[:-8]), "a0.npy"),
    "a zip file": (lambda p: np.savez(p.open("wb"), a=walk(5, 17)), "a0.npy"),
    "nothing": (lambda p: p.write_bytes(b""), "a0.npy"),
    "missing": (lambda p: p.unlink(), "a0.npy is not there"),
    "a folder": (lambda p: (p.unlink(), p.mkdir()), "a0.npy is not there"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD_FILES)
def test_files_that_cannot_be_used_are_left_out_by_name(arrays, capsys, fault):
    spoil, said = BAD_FILES[fault]
    spoil(arrays / "a0.npy")
    prepare(arrays, "--skeleton", "coco_17")
    out = capsys.readouterr().out
    assert "left out, malformed: 1\n" in out and said in out
    assert len(open_store(arrays / "out", "mine").names) == 3
    with pytest.raises(UserError) as caught:
        prepare(arrays, "--skeleton", "coco_17", "--strict", name="strict")
    assert said in str(caught.value)
    assert os.listdir(arrays / "out") == ["mine"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2,3\n", "line 1: 3 values"),
        (",".join(["1"] * 51) + "\n" + ",".join(["1"] * 102), "line 2: 102 values"),
        (",".join(["1"] * 50 + ["x"]), "line 1: 'x'"),
        (",".join(["x"] * 51) + "\n" + ",".join(["1"] * 50 + [""]), "line 2: ''"),
        ('"1', "not a CSV file"),
        ("", "0 frames"),
    ],
)
def test_csv_files_that_cannot_be_used_are_named_by_line(arrays, capsys, text, said):
    (arrays / "c.csv").write_text(text)
    table = (arrays / "clips.csv").read_text()
    (arrays / "clips.csv").write_text(table + "c.csv,wave,1,test\n")
    prepare(arrays, "--skeleton", "coco_17")
    out = capsys.readouterr().out
    assert "c.csv" in out and said in out


BAD_TABLES = {
    "no file column": (lambda t: t.replace("file", "path", 1), "line 1: no column 'file'"),
    "no label": (lambda t: t.replace("label", "class", 1), "line 1: no column 'label'"),
    "no split": (lambda t: t.replace("split", "half", 1), "line 1: no column split"),
    "a column twice": (lambda t: t.replace("subject", "label", 1), "line 1: the column 'label'"),
    "too few values": (lambda t: t.replace(",train", "", 1), "line 2: 3 values"),
    "half": (lambda t: t.replace("train", "val", 1), "line 2: split is 'val'"),
    "label": (lambda t: t.replace("wave", "", 1), "line 2: label is ''"),
    "subject": (lambda t: t.replace(",1,", ",,", 1), "line 2: subject is ''"),
    "a clip twice": (lambda t: t.replace("b1", "a0", 1), "line 3: the clip 'a0' is that of line 2"),
    "two files, one name": (lambda t: t.replace("b1.npy", "a0.csv", 1), "line 3: the clip 'a0'"),
    "out of the folder": (lambda t: t.replace("a0", "../a0", 1), "line 2: file '../a0.npy'"),
    "absolute": (lambda t: t.replace("a0", "/a0", 1), "line 2: file '/a0.npy'"),
    "only a header": (lambda t: t[: t.index("\n")], "holds no clip"),
    "empty": (lambda t: "", "holds no clip"),
    "quotes": (lambda t: t.replace("a0", '"a"0', 1), "not a CSV file"),
}


@pytest.mark.parametrize("fault", BAD_TABLES)
def test_faults_of_the_table_end_the_run_in_one_line(arrays, capsys, fault):
    change, said = BAD_TABLES[fault]
    text = (arrays / "clips.csv").read_text()
    (arrays / "clips.csv").write_text(change(text))
    with pytest.raises(UserError, match=r"clips\.csv") as caught:
        prepare(arrays, "--skeleton", "coco_17")
    assert said in str(caught.value)
    assert not (arrays / "out").exists() or not os.listdir(arrays / "out")


@pytest.mark.parametrize(
    "flags",
    [
        ("--splits", "subject"),
        ("--splits", "other"),
        ("--splits", "label"),
        ("--skeleton", "kinect_v1"),
        ("--clips", "nowhere.csv"),
    ],
)
def test_what_fits_no_clip_writes_no_store(arrays, capsys, flags):
    skeleton = () if "--skeleton" in flags else ("--skeleton", "coco_17")
    with pytest.raises(UserError):
        prepare(arrays, *skeleton, *flags)
    assert not (arrays / "out").exists() or not os.listdir(arrays / "out")


@pytest.mark.parametrize(
    "flags",
    [
        ("--name", "ntu60"),
        ("--name", "../x"),
        ("--name", ""),
        ("--skeleton", "coco"),
        ("--skeleton", "nowhere.json"),
        ("--bodies", 0),
        ("--unit", "inch"),
    ],
)
def test_wrong_flags(arrays, capsys, flags):
    with pytest.raises(SystemExit) as end:
        prepare(arrays, *flags)
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert flags[0] in error


# ---- the example: synthetic people as a pose estimator gives them


def test_the_coco_example_goes_the_whole_way(tmp_path, capsys):
    raw = tmp_path / "raw"
    size = [
        "--subjects",
        "3",
        "--actions",
        "3",
        "--setups",
        "2",
        "--workers",
        "1",
        "--skeleton",
        "coco_17",
    ]
    synthetic.main([*size, "--out_folder", str(raw)])
    assert f"--clips {raw / 'clips.csv'} --skeleton coco_17" in capsys.readouterr().out
    flags = ["--name", "people", "--clips", str(raw / "clips.csv"), "--skeleton", "coco_17"]
    out = ["--bodies", "1", "--workers", "1", "--out_folder", str(tmp_path / "data")]
    own_gendata.main([*flags, *out])
    said = capsys.readouterr().out
    assert "people: 27 clips" in said and "3 classes, 1 body of 17 joints (COCO-17)" in said
    store = open_store(tmp_path / "data", "people")
    assert store.title == "synthetic recordings"
    assert store.protocols == ("cross_subject", "cross_view")
    train, _ = store.split("cross_view")
    assert set(store.camera[train]) == {2, 3}
    run = tmp_path / "run"
    flags = pretraining(tmp_path / "data", run, "--pre-dataset", "people", "--epochs", 2)
    assert call(pretrain.main, *flags).code == 0
    done = call(action_retrieval.main, "--checkpoint-path", run)
    assert done.code == 0, done.err
    assert (run / "retrieval.json").is_file()


def test_synthetic_raw_files_never_become_ntu(tmp_path):
    synthetic.write_recordings(tmp_path / "raw", synthetic.sample_names(2, 2, 1))
    flags = ["--dataset", "ntu60", "--data_path", tmp_path / "raw", "--out_folder", tmp_path]
    ntu_gendata.main([*map(str, flags), "--workers", "1"])
    store = open_store(tmp_path, "ntu60")
    assert store.title == "synthetic recordings" and "NTU" not in store.description.origin
    assert all(store.official(protocol) is None for protocol in store.protocols)
    (tmp_path / "raw" / "SYNTHETIC.txt").unlink()  # as if they were real
    ntu_gendata.main([*map(str, flags), "--workers", "1"])
    assert open_store(tmp_path, "ntu60").title == "NTU RGB+D 60"
