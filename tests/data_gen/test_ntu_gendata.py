import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from common import UserError
from data_gen import ntu_gendata
from data_gen.readers.skeleton_file import official_missing
from feeder.store import open_store
from tests.data_gen.raw_files import GOLDEN, random_frames, raw_text, write_clips

COMMAND = Path(ntu_gendata.__file__)
LONGEST = GOLDEN / "skeletons" / "S014C002P092R002A024.skeleton"  # 80 frames
OLD = ["S001C001P001R001A001", "S017C002P003R001A060"]
NEW = ["S018C001P041R001A061", "S032C003P106R002A120"]


def read_store(folder: Path) -> dict[str, np.ndarray]:
    store = open_store(folder.parent, folder.name)
    return {name: store.clip(row) for row, name in enumerate(store.names)}


def linked_clips(folder: Path, number: int) -> Path:
    """The same recording of 80 frames under many names."""
    folder.mkdir()
    first = folder / "S001C001P001R001A001.skeleton"
    shutil.copy(LONGEST, first)
    for i in range(1, number):
        name = f"S001C{1 + i % 3:03}P{1 + i // 3 % 40:03}R003A{1 + i // 120:03}"
        os.link(first, folder / f"{name}.skeleton")
    return folder


@pytest.fixture
def prepare(tmp_path, capsys):
    def prepare(*flags, out_folder=tmp_path / "out", workers=1):
        where = ("--out_folder", out_folder, "--workers", workers)
        ntu_gendata.main([*map(str, (*flags, *where))])
        return capsys.readouterr().out

    return prepare


def test_the_published_clips_come_out_of_the_command(prepare, tmp_path):
    out = prepare("--data_path", GOLDEN / "skeletons", "--dataset", "ntu120")
    published = np.load(GOLDEN / "preprocess.npz", allow_pickle=False)
    clips = read_store(tmp_path / "out" / "ntu120")
    assert set(clips) == {case.split()[0] for case in published["cases"]}
    for name, clip in clips.items():
        expected = published[f"joints/{name}"].transpose(1, 3, 2, 0)
        np.testing.assert_allclose(clip, expected, rtol=0, atol=1e-5)
    store = open_store(tmp_path / "out", "ntu120")
    columns = (store.setup, store.camera, store.subject, store.replication, store.action)
    for name, s, c, p, r, a in zip(store.names, *columns, strict=True):
        assert a == published[f"label/{name}"] + 1
        assert name == f"S{s:03}C{c:03}P{p:03}R{r:03}A{a:03}"
    assert "ntu120: 14 clips, 405 frames" in out
    train = sum(str(published[f"part_xsub/{name}"]) == "train" for name in clips)
    assert f"cross_subject: {train} training and {14 - train} test clips, not the official" in out
    assert "next: ./script_pretrain.sh ntu120_xsub --data-root" in out


def test_workers_do_not_change_a_byte(prepare, tmp_path):
    raw = linked_clips(tmp_path / "raw", 60)
    (raw / "S001C001P001R003A001.skeleton").write_text("not a number\n")
    outs = [tmp_path / workers for workers in "12"]
    printed = [prepare("--data_path", raw, out_folder=out, workers=out.name) for out in outs]
    assert printed[0].replace(str(outs[0]), str(outs[1])) == printed[1]
    for name in ("joints.npy", "samples.csv"):
        one, two = ((out / "ntu60" / name).read_bytes() for out in outs)
        assert one == two


@pytest.mark.parametrize(
    ("names", "dataset", "stores"),
    [
        (OLD, "all", {"ntu60": OLD}),
        (NEW, "all", {"ntu120": NEW}),
        (OLD + NEW, "ntu60", {"ntu60": OLD}),
        (OLD + NEW, "ntu120", {"ntu120": OLD + NEW}),
    ],
)
def test_setups_decide_the_data_set(prepare, tmp_path, names, dataset, stores):
    raw = write_clips(tmp_path / "raw", names)
    prepare("--data_path", raw, "--dataset", dataset)
    assert sorted(os.listdir(tmp_path / "out")) == sorted(stores)
    for store, clips in stores.items():
        assert list(read_store(tmp_path / "out" / store)) == clips


def test_files_of_both_releases_at_any_depth(prepare, tmp_path, monkeypatch):
    raw = write_clips(tmp_path / "raw", NEW)
    write_clips(raw / "nturgb+d_skeletons", OLD[:1])
    write_clips(raw / "more" / "and" / "more", [OLD[1], NEW[0]])
    write_clips(raw / ".hidden", ["S001C001P002R001A001"])
    write_clips(tmp_path / "elsewhere", ["S001C001P003R001A001"])
    (raw / "link").symlink_to(tmp_path / "elsewhere")
    for name in (*OLD, *NEW):
        (raw / f"._{name}.skeleton").write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X")
    (raw / "samples_with_missing_skeletons.txt").write_text("Prose\n\n" + NEW[0])
    monkeypatch.setattr(ntu_gendata, "RAW_FOLDERS", (raw, raw / "more"))
    prepare("--strict")
    ntu60 = sorted([*OLD, "S001C001P003R001A001"])
    assert list(read_store(tmp_path / "out" / "ntu60")) == ntu60
    assert list(read_store(tmp_path / "out" / "ntu120")) == ntu60 + NEW[1:]


def test_from_data_gen_with_default_folders(house):
    write_clips(house / "data" / "nturgbd_raw" / "nturgb+d_skeletons", OLD)
    command = [sys.executable, "ntu_gendata.py"]
    run = subprocess.run(command, cwd=house / "data_gen", capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert list(read_store(house / "data" / "ntu60")) == OLD
    assert run.stdout.splitlines()[-1] == "next: ./script_pretrain.sh ntu60_xsub"
    assert sorted(os.listdir(house / "data")) == ["ntu60", "nturgbd_raw"]


def test_every_file_left_out_is_named_with_its_reason(prepare, tmp_path):
    raw = write_clips(tmp_path / "raw", OLD)
    first = "S002C001P001R001A00"
    whole, far = raw_text(random_frames([1, 1])), random_frames([1])
    far[0][0][1:3] = [[900], [-900]]  # farther than 1,000 m once joint 2 is the origin
    cut = "\n".join(whole.split("\n")[:40])
    texts = ("2\n0\n0\n", "", "\0\1\2" * 1000, whole.replace("NaN", "nan", 1), cut, raw_text(far))
    for number, text in enumerate(texts, 1):
        (raw / f"{first}{number}.skeleton").write_text(text)
    (raw / "some.skeleton").write_text(whole)
    (raw / "README.txt").touch()
    missing = tmp_path / "missing.txt"
    missing.write_text(f"{OLD[0]}\nS003C001P001R001A001\n")
    out = prepare("--data_path", raw, "--ignored_sample_path", missing)
    assert list(read_store(tmp_path / "out" / "ntu60")) == [f"{first}4", OLD[1]]
    assert f"in the list of missing samples: 1\n  {OLD[0]}\n" in out
    assert f"without any body: 1\n  {first}1.skeleton\n" in out
    assert "malformed: 5\n" in out
    for fault in ("some", f"{first}2.skeleton, line 1", f"{first}3.skeleton, line 1",
                  f"{first}5.skeleton, line 40", f"{first}6.skeleton, frame 1"):  # fmt: skip
        assert f"\n  {fault}: " in out


def test_the_official_missing_samples_are_left_out_without_a_file(prepare, tmp_path):
    raw = write_clips(tmp_path / "raw", OLD + NEW)
    for name in official_missing():
        (raw / f"{name}.skeleton").write_text("not read\n")
    out = prepare("--data_path", raw, "--dataset", "ntu120", "--strict")
    assert list(read_store(tmp_path / "out" / "ntu120")) == OLD + NEW
    assert "left out, in the list of missing samples: 535\n" in out


def test_no_raw_data(prepare, tmp_path, capsys):
    with pytest.raises(UserError, match="--data_path"):
        prepare("--data_path", tmp_path)
    assert not (tmp_path / "out").exists()
    with pytest.raises(SystemExit):
        prepare("--data_path", "nowhere")
    assert "--data_path" in capsys.readouterr().err


MANY = 600


def test_a_run_killed_at_any_moment_leaves_a_whole_store(prepare, tmp_path):
    out, many = tmp_path / "out", linked_clips(tmp_path / "many", MANY)
    few = write_clips(tmp_path / "few", OLD)
    prepare("--data_path", few)
    rng = random.Random(0)
    for workers in (1, 2):
        flags = ["--data_path", many, "--out_folder", out, "--workers", str(workers)]
        process = subprocess.Popen([sys.executable, COMMAND, *flags], stdout=subprocess.PIPE)
        while sum(path.stat().st_size for path in out.glob(".ntu60.*.part/joints.npy")) < 100_000:
            assert process.poll() is None
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.8))
        process.kill()
        process.communicate(timeout=60)  # the workers hold the pipe open while they live
        assert len(read_store(out / "ntu60")) in (len(OLD), MANY)
    prepare("--data_path", few)
    assert list(read_store(out / "ntu60")) == OLD
    assert os.listdir(out) == ["ntu60"]
