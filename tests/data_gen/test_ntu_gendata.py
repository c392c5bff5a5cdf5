import csv
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from multiprocessing import parent_process

import numpy as np
import pytest

from data_gen import ntu_gendata
from data_gen.preparing.report import print_store, progress
from data_gen.readers.missing import official_missing
from feeder.datasets.ntu import DATASETS, LAST_SETUP
from tests.data_gen.raw_files import GOLDEN, random_frames, raw_text, write_clips
from tests.data_gen.stores import COMMAND, OLD, linked_clips, read_store

# ------------------------------------------------------------------------- what is in the store


def test_the_published_clips_come_out_of_the_command(prepare, tmp_path):
    code, out, err = prepare("--data_path", GOLDEN / "skeletons", "--dataset", "ntu120")
    assert code == 0
    published = np.load(GOLDEN / "preprocess.npz", allow_pickle=False)
    clips = read_store(tmp_path / "out" / "ntu120")
    assert set(clips) == {case.split()[0] for case in published["cases"]}
    for name, clip in clips.items():
        expected = published[f"joints/{name}"].transpose(1, 3, 2, 0)
        np.testing.assert_allclose(clip, expected, rtol=0, atol=1e-5)
    with open(tmp_path / "out" / "ntu120" / "samples.csv", newline="") as file:
        for row in csv.DictReader(file):
            assert int(row["action"]) == published[f"label/{row['name']}"] + 1
            fields = (row[c] for c in ("setup", "camera", "subject", "replication", "action"))
            s, c, p, r, a = map(int, fields)
            assert row["name"] == f"S{s:03}C{c:03}P{p:03}R{r:03}A{a:03}"
    assert "ntu120: 14 clips, 405 frames" in out
    train = sum(str(published[f"part_xsub/{name}"]) == "train" for name in clips)
    assert f"cross_subject: {train} training and {14 - train} test clips, not the official" in out
    assert "next: ./script_pretrain.sh ntu120_xsub --data-root" in out
    assert err == ""


def test_workers_do_not_change_a_byte(prepare, tmp_path):
    raw = linked_clips(tmp_path / "raw", 60)
    for golden in (GOLDEN / "skeletons").iterdir():
        shutil.copy(golden, raw)
    (raw / "S001C001P001R003A001.skeleton").write_text("not a number\n")
    printed = []
    for workers in (1, 2):
        code, out, _ = prepare(
            "--data_path", raw, "--workers", workers, out_folder=tmp_path / str(workers)
        )
        assert code == 0
        printed.append(out.replace(str(tmp_path / str(workers)), "OUT"))
    assert printed[0] == printed[1]
    for name in ("joints.npy", "samples.csv"):
        one, two = ((tmp_path / workers / "ntu60" / name).read_bytes() for workers in "12")
        assert one == two


def test_a_second_run_replaces_the_store(prepare, tmp_path):
    raw = write_clips(tmp_path / "raw", ["S001C001P001R001A001", "S001C001P002R001A001"])
    assert prepare("--data_path", raw)[0] == 0
    in_use = np.load(tmp_path / "out" / "ntu60" / "joints.npy", mmap_mode="r")
    before = np.array(in_use)
    (raw / "S001C001P001R001A001.skeleton").unlink()
    assert prepare("--data_path", raw)[0] == 0
    assert list(read_store(tmp_path / "out" / "ntu60")) == ["S001C001P002R001A001"]
    np.testing.assert_array_equal(in_use, before)


def test_more_than_300_frames(prepare, tmp_path):
    raw = write_clips(tmp_path / "raw", ["S001C001P001R001A001"], counts=777 * [1])
    assert prepare("--data_path", raw)[0] == 0
    assert len(read_store(tmp_path / "out" / "ntu60")["S001C001P001R001A001"]) == 777


# ------------------------------------------------------------------------------ which data set


NEW = ["S018C001P041R001A061", "S032C003P106R002A120"]


@pytest.mark.parametrize(
    ("names", "dataset", "stores"),
    [
        (OLD, "all", {"ntu60": OLD}),
        (NEW, "all", {"ntu120": NEW}),
        (OLD + NEW, "all", {"ntu60": OLD, "ntu120": OLD + NEW}),
        (OLD + NEW, "ntu60", {"ntu60": OLD}),
        (OLD + NEW, "ntu120", {"ntu120": OLD + NEW}),
        (OLD, "ntu120", {"ntu120": OLD}),
        (["S017C001P001R001A120"], "all", {"ntu60": ["S017C001P001R001A120"]}),
    ],
)
def test_setups_decide_the_data_set(prepare, tmp_path, names, dataset, stores):
    raw = write_clips(tmp_path / "raw", names)
    code, out, _ = prepare("--data_path", raw, "--dataset", dataset)
    assert code == 0
    assert sorted(os.listdir(tmp_path / "out")) == sorted(stores)
    for store, clips in stores.items():
        assert list(read_store(tmp_path / "out" / store)) == clips
    left = len(names) - len(set().union(*stores.values()))
    assert (f"left out, of setups that the data set does not have: {left}" in out) == (left > 0)


def test_the_folders_of_the_two_data_sets_are_united(prepare, tmp_path, monkeypatch):
    monkeypatch.setattr(
        ntu_gendata, "RAW_FOLDERS", (tmp_path / "nturgbd_raw", tmp_path / "nturgbd_raw_120")
    )
    write_clips(tmp_path / "nturgbd_raw" / "nturgb+d_skeletons", OLD)
    write_clips(tmp_path / "nturgbd_raw_120" / "nturgb+d_skeletons", NEW + OLD[:1])
    (tmp_path / "nturgbd_raw" / "samples_with_missing_skeletons.txt").write_text(OLD[1])
    (tmp_path / "nturgbd_raw_120" / "samples_with_missing_skeletons.txt").write_text(
        "2 of the samples\n\n" + "\n".join([OLD[1], NEW[0]])
    )
    code, out, err = prepare()
    assert (code, err) == (0, "")
    assert list(read_store(tmp_path / "out" / "ntu60")) == OLD[:1]
    assert list(read_store(tmp_path / "out" / "ntu120")) == [OLD[0], NEW[1]]
    assert "left out, in the list of missing samples: 2\n" in out


@pytest.mark.parametrize("folder", [".", "data_gen", "data"])
def test_from_anywhere_with_default_folders(tmp_path, folder):
    shutil.copytree(COMMAND.parent, tmp_path / "data_gen", ignore=shutil.ignore_patterns("__py*"))
    write_clips(tmp_path / "data" / "nturgbd_raw" / "nturgb+d_skeletons", OLD)
    command = os.path.relpath(tmp_path / "data_gen" / "ntu_gendata.py", tmp_path / folder)
    run = subprocess.run(
        [sys.executable, command], cwd=tmp_path / folder, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert list(read_store(tmp_path / "data" / "ntu60")) == OLD
    back = "" if folder == "." else f"cd {tmp_path} && "
    # Which Python the script is told to take depends on the PATH: see preparing/test_commands.py.
    last = run.stdout.splitlines()[-1]
    assert last.startswith(f"next: {back}") and last.endswith("./script_pretrain.sh ntu60_xsub")
    assert sorted(os.listdir(tmp_path / "data")) == ["ntu60", "nturgbd_raw"]


# ------------------------------------------------------------------------------ what is left out


def test_every_file_left_out_is_named_with_its_reason(prepare, tmp_path):
    raw = write_clips(tmp_path / "raw", OLD)
    (raw / "S002C001P001R001A001.skeleton").write_text("2\n0\n0\n")
    (raw / "S002C001P001R001A002.skeleton").touch()
    (raw / "S002C001P001R001A003.skeleton").write_bytes(os.urandom(1) + b"\0\1\2" * 1000)
    (raw / "S002C001P001R001A004.skeleton").mkdir()
    whole = raw_text(random_frames([1, 1])).split("\n")
    (raw / "S002C001P001R001A005.skeleton").write_text("\n".join(whole[:40]))
    (raw / "S002C001P001R001A006.skeleton").write_text("\n".join(whole).replace("NaN", "nan", 1))
    whole[34] = "abc" + whole[34]
    (raw / "S002C001P001R001A007.skeleton").write_text("\r\n".join(whole))
    (raw / "some.skeleton").write_text("\n".join(whole))
    (raw / "README.txt").touch()
    missing = tmp_path / "missing.txt"
    missing.write_text(f"{OLD[0]}\nS003C001P001R001A001\n")
    code, out, err = prepare("--data_path", raw, "--ignored_sample_path", missing)
    assert (code, err) == (0, "")
    assert list(read_store(tmp_path / "out" / "ntu60")) == ["S002C001P001R001A006", OLD[1]]
    lines = out.split("\n")
    assert lines.pop(1) == f"  {OLD[0]}"
    assert lines[:4] == [
        "left out, in the list of missing samples: 1",
        "left out, without any body: 1",
        "  S002C001P001R001A001",
        "left out, malformed: 6",
    ]
    assert lines[4] == "  some: not a name like S001C002P003R002A013"
    assert lines[5] == "  S002C001P001R001A002.skeleton, line 1: the file is empty"
    assert lines[6].startswith("  S002C001P001R001A003.skeleton, line 1: '")
    assert lines[7] == "  S002C001P001R001A004.skeleton: not a regular file"
    assert lines[8] == "  S002C001P001R001A005.skeleton, line 40: the file ends in frame 2 of 2"
    assert lines[9].startswith("  S002C001P001R001A007.skeleton, line 35: 'abc")
    assert lines[9].endswith(" is not a number")


@pytest.mark.parametrize("name", ["S002C001P001R001A001", "some"])
def test_strict_takes_no_malformed_file(prepare, tmp_path, name):
    raw = write_clips(tmp_path / "raw", [*OLD, "S001C001P001R001A002"])
    assert prepare("--data_path", raw, "--strict")[0] == 0
    before = (tmp_path / "out" / "ntu60" / "joints.npy").read_bytes()
    (raw / f"{name}.skeleton").write_text("1\n2\n")
    code, out, err = prepare("--data_path", raw, "--strict")
    assert code == 1
    assert err.splitlines()[-1].startswith(f"error: {name}")
    assert err.endswith("; no store was written (--strict)\n")
    assert "clips" not in out
    assert os.listdir(tmp_path / "out") == ["ntu60"]
    assert (tmp_path / "out" / "ntu60" / "joints.npy").read_bytes() == before


# ---------------------------------------------------------------------------------- the counts


@pytest.mark.parametrize("more", [0, 1])
def test_official_numbers_are_recognized(tmp_path, capsys, more):
    (tmp_path / "ntu60").mkdir()

    class Store:
        folder, clips, frames = tmp_path / "ntu60", 56_578 + more, 4_000_000
        description = DATASETS["ntu60"]

    clips = Counter()  # of (setup, camera, subject); subject 1 trains, 3 tests
    clips[1, 1, 1], clips[17, 2, 1], clips[1, 2, 3] = 10_091, 30_000, 7_646
    clips[1, 1, 3] = DATASETS["ntu60"].num_clips - clips.total() + more
    print_store(Store, clips)
    _, subject, view = capsys.readouterr().out.splitlines()
    said = "not the official" if more else "the official"
    assert subject == (
        f"  cross_subject: 40091 training and {16487 + more} test clips, {said} 40091 and 16487"
    )
    assert view == (
        f"  cross_view: 37646 training and {18932 + more} test clips, {said} 37646 and 18932"
    )


# ------------------------------------------------------------------------------- helpful failure


def test_no_raw_data(prepare, tmp_path, monkeypatch):
    folders = (tmp_path / "nturgbd_raw", tmp_path / "nturgbd_raw_120")
    monkeypatch.setattr(ntu_gendata, "RAW_FOLDERS", folders)
    code, out, err = prepare()
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    for part in (*map(str, folders), "download", "--data_path"):
        assert part in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("dataset", ["all", "ntu60"])
def test_no_clip_is_no_store(prepare, tmp_path, dataset):
    raw = write_clips(tmp_path / "raw", NEW if dataset == "ntu60" else [])
    (raw / "S001C001P001R001A001.skeleton").write_text("1\n0\n")
    (raw / "foo.skeleton").write_text("1\n0\n")
    code, out, err = prepare("--data_path", raw, "--dataset", dataset)
    assert code == 1
    assert "error: no clip for ntu60 among" in err
    assert "  foo: not a name" in out
    assert os.listdir(tmp_path / "out") == []


def test_only_wrong_names(prepare, tmp_path):
    raw = write_clips(tmp_path / "raw", ["foo"])
    code, out, err = prepare("--data_path", raw)
    assert code == 1
    assert "error: no clip for ntu60 or ntu120 among 1 raw files" in err
    assert "  foo: not a name" in out


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--data_path", "nowhere"], "--data_path nowhere is no folder"),
        (["--workers", "0"], "--workers: '0' is not"),
        (["--dataset", "ntu61"], "invalid choice: 'ntu61'"),
        (["--stric"], "unrecognized arguments: --stric"),
    ],
)
def test_wrong_flags(prepare, capsys, flags, says):
    with pytest.raises(SystemExit) as exit:
        prepare(*flags)
    assert exit.value.code == 2
    assert says in capsys.readouterr().err


def test_a_missing_list_that_is_not_there(prepare, tmp_path):
    raw = write_clips(tmp_path / "raw", OLD)
    code, _, err = prepare("--data_path", raw, "--ignored_sample_path", tmp_path / "none.txt")
    assert code == 1
    assert err == (
        f"error: list of missing samples {tmp_path / 'none.txt'} cannot be read: "
        "No such file or directory\n"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("dataset", "missing"), [("ntu60", 302), ("ntu120", 535)])
def test_the_official_missing_samples_are_left_out_without_a_file(
    prepare, tmp_path, dataset, missing
):
    raw = write_clips(tmp_path / "raw", OLD + NEW)
    for name in official_missing():
        (raw / f"{name}.skeleton").write_text("not read\n")
    code, out, err = prepare("--data_path", raw, "--dataset", dataset, "--strict")
    assert (code, err) == (0, "")
    assert list(read_store(tmp_path / "out" / dataset)) == OLD + NEW[: 2 * (dataset == "ntu120")]
    assert "left out, in the list of missing samples: 535\n" in out
    assert len(official_missing(LAST_SETUP[dataset])) == missing


@pytest.mark.parametrize("beside", [True, False])
def test_a_list_of_the_user_wins_over_the_official_one(prepare, tmp_path, beside):
    official = min(official_missing())
    raw = write_clips(tmp_path / "raw", [official, *OLD])
    path = raw / "samples_with_missing_skeletons.txt" if beside else tmp_path / "own.txt"
    for text, kept in (("", [official, *OLD]), (OLD[0], [official, OLD[1]])):
        path.write_text(text)
        flags = () if beside else ("--ignored_sample_path", path)
        assert prepare("--data_path", raw, *flags)[0] == 0
        assert list(read_store(tmp_path / "out" / "ntu60")) == sorted(kept)


def test_only_the_list_of_ntu60_for_ntu120(prepare, tmp_path):
    raw = write_clips(tmp_path / "raw", OLD + NEW)
    (raw / "samples_with_missing_skeletons.txt").write_text(OLD[0])
    assert "no name of S018 to S032" in prepare("--data_path", raw)[2]
    assert prepare("--data_path", raw, "--dataset", "ntu60")[2] == ""


def test_a_killed_worker(prepare, tmp_path, monkeypatch):
    raw = linked_clips(tmp_path / "raw", 60)
    monkeypatch.setattr(ntu_gendata, "read_clip", kill_this_worker)
    code, _, err = prepare("--data_path", raw, "--workers", "2")
    assert code == 1
    assert "error: a worker process was killed" in err
    assert os.listdir(tmp_path / "out") == []


def kill_this_worker(path):
    if parent_process():  # the command itself is one of the workers
        os.kill(os.getpid(), signal.SIGKILL)


def test_progress_is_lines_without_a_terminal(capsys):
    assert list(progress(iter("abc"), 3, seconds=0)) == list("abc")
    assert capsys.readouterr().err == "1 of 3 clips\n2 of 3 clips\n3 of 3 clips\n"
