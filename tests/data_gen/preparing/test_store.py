import fcntl
import os
from pathlib import Path

import numpy as np
import pytest

from data_gen.preparing import store as store_module
from data_gen.preparing.store import StoreError, StoreWriter, npy_header
from feeder.datasets.ntu import DATASETS

NTU60 = DATASETS["ntu60"]
FIELDS = (1, 2, 3, 1, 5)


def clip(frames: int, value: float = 0.0) -> np.ndarray:
    return np.full((frames, 2, 25, 3), value, np.float32)


def write(folder: Path, value: float = 0.0, names: str = "ab"):
    with StoreWriter(folder, NTU60) as store:
        for name in names:
            store.add(name, FIELDS, clip(3, value))
        store.commit()
    return store


def test_what_is_written(tmp_path):
    rng = np.random.default_rng(0)
    clips = [rng.normal(size=(frames, 2, 25, 3)) for frames in (3, 1, 400)]
    with StoreWriter(tmp_path / "new" / "ntu60", NTU60) as store:
        store.add("S001C001P001R001A001", (1, 1, 1, 1, 1), clips[0])
        store.add("S001C002P003R001A060", (1, 2, 3, 1, 60), clips[1][:, ::-1])  # not contiguous
        store.add("S017C003P020R002A001", (17, 3, 20, 2, 1), clips[2].astype(np.float32))
        store.commit()
    assert (store.clips, store.frames) == (3, 404)
    joints = np.load(store.folder / "joints.npy", allow_pickle=False, mmap_mode="r")
    assert joints.dtype == np.dtype("<f4")
    assert joints.shape == (404, 2, 25, 3)
    expected = np.concatenate([clips[0], clips[1][:, ::-1], clips[2]]).astype(np.float32)
    np.testing.assert_array_equal(joints, expected)
    assert (store.folder / "samples.csv").read_bytes() == (
        b"name,setup,camera,subject,replication,action,start,frames\n"
        b"S001C001P001R001A001,1,1,1,1,1,0,3\n"
        b"S001C002P003R001A060,1,2,3,1,60,3,1\n"
        b"S017C003P020R002A001,17,3,20,2,1,4,400\n"
    )
    assert os.listdir(tmp_path / "new") == ["ntu60"]
    assert sorted(os.listdir(store.folder)) == ["joints.npy", "samples.csv", "store.json"]


@pytest.mark.parametrize("frames", [0, 1, 8_000_000, 10**15])
def test_the_header_has_one_length_and_is_what_numpy_reads(frames, tmp_path):
    header = npy_header(frames, (2, 25, 3))
    assert len(header) == 128
    (tmp_path / "header").write_bytes(header)
    with open(tmp_path / "header", "rb") as file:
        assert np.lib.format.read_magic(file) == (1, 0)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    assert (shape, fortran, dtype) == ((frames, 2, 25, 3), False, np.dtype("<f4"))


def test_names_out_of_order_and_other_shapes_are_refused(tmp_path):
    with StoreWriter(tmp_path / "ntu60", NTU60) as store:
        store.add("b", FIELDS, clip(1))
        with pytest.raises(ValueError, match="a does not come after b"):
            store.add("a", FIELDS, clip(1))
        with pytest.raises(ValueError, match="b does not come after b"):
            store.add("b", FIELDS, clip(1))
        with pytest.raises(ValueError, match=r"c: shape \(1, 3, 25, 3\)"):
            store.add("c", FIELDS, np.zeros((1, 3, 25, 3)))


# ------------------------------------------------------------------- whole or not at all


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, SystemExit])
def test_an_interrupted_run_leaves_nothing(tmp_path, error):
    with pytest.raises(error), StoreWriter(tmp_path / "ntu60", NTU60) as store:
        store.add("a", FIELDS, clip(1))
        raise error
    assert os.listdir(tmp_path) == []


def test_what_is_not_committed_is_not_there(tmp_path):
    with StoreWriter(tmp_path / "ntu60", NTU60) as store:
        store.add("a", FIELDS, clip(1))
        assert not (tmp_path / "ntu60").exists()
    assert os.listdir(tmp_path) == []


def test_the_store_before_stays_until_the_commit_and_after_it_for_who_has_it_open(tmp_path):
    folder = tmp_path / "ntu60"
    write(folder, 1.0)
    in_use = np.load(folder / "joints.npy", mmap_mode="r")
    with StoreWriter(folder, NTU60) as store:
        store.add("a", FIELDS, clip(100, 2.0))
        store.joints.flush()
        assert len(np.load(folder / "joints.npy")) == 6
        store.commit()
        np.testing.assert_array_equal(np.load(folder / "joints.npy"), clip(100, 2.0))
    np.testing.assert_array_equal(in_use, clip(6, 1.0))
    assert os.listdir(tmp_path) == ["ntu60"]


@pytest.mark.parametrize("step", [1, 2])
def test_a_run_that_fails_amid_the_exchange_puts_the_store_back(tmp_path, monkeypatch, step):
    folder = tmp_path / "ntu60"
    write(folder, 1.0)
    rename, calls = Path.rename, []

    def failing(self, target):
        calls.append(target)
        if len(calls) == step:
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="no"):
        write(folder, 2.0)
    assert (np.load(folder / "joints.npy") == 1).all()
    assert os.listdir(tmp_path) == ["ntu60"]


@pytest.mark.parametrize("exchanging", [False, True])
def test_what_a_killed_run_left_is_cleared(tmp_path, exchanging):
    folder = tmp_path / "ntu60"
    write(folder, 1.0)
    (tmp_path / ".ntu60.lock").touch()
    (tmp_path / ".ntu60.new").mkdir()
    (tmp_path / ".ntu60.new" / "joints.npy").write_bytes(b"half")
    if exchanging:
        folder.rename(tmp_path / ".ntu60.old")
    with StoreWriter(folder, NTU60):  # looks at the place and gives up
        assert (np.load(folder / "joints.npy") == 1).all()
    assert os.listdir(tmp_path) == ["ntu60"]
    write(folder, 2.0)
    assert (np.load(folder / "joints.npy") == 2).all()
    assert os.listdir(tmp_path) == ["ntu60"]


# ------------------------------------------------------------------------ whose place it is


def test_a_second_writer_is_refused_and_harms_nothing(tmp_path):
    folder = tmp_path / "ntu60"
    with StoreWriter(folder, NTU60) as store:
        store.add("a", FIELDS, clip(2))
        with (
            pytest.raises(StoreError, match=f"another process is writing {folder}; "),
            StoreWriter(folder, NTU60),
        ):
            pass
        write(tmp_path / "ntu120")  # another store is no matter
        store.add("b", FIELDS, clip(2))
        store.commit()
    assert len(np.load(folder / "joints.npy")) == 4
    write(folder)


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.warns(UserWarning, match="has no file locks"):
        write(tmp_path / "ntu60")
    assert os.listdir(tmp_path) == ["ntu60"]


def test_a_lock_file_removed_between_opening_and_locking_does_not_count(tmp_path, monkeypatch):
    path = tmp_path / ".ntu60.lock"
    flock, calls = fcntl.flock, []

    def slow(descriptor, operation):
        calls.append(descriptor)
        if len(calls) == 1:
            path.unlink()  # by the holder before, as it ends
        flock(descriptor, operation)

    monkeypatch.setattr(store_module.fcntl, "flock", slow)
    lock = store_module._lock(path)
    assert len(calls) == 2
    assert os.fstat(lock).st_ino == path.stat().st_ino
    os.close(lock)


def test_what_is_no_store_is_not_replaced(tmp_path):
    folder = tmp_path / "ntu60"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match=r"holds more than a store \(thesis.tex\)"):
        write(folder)
    assert (folder / "thesis.tex").read_text() == "years of work"
    (tmp_path / "ntu120").write_text("a file")
    with pytest.raises(StoreError, match="ntu120 is a file"):
        write(tmp_path / "ntu120")
    assert sorted(os.listdir(tmp_path)) == ["ntu120", "ntu60"]


def test_a_link_to_a_store_elsewhere_stays_a_link(tmp_path):
    (tmp_path / "large_disk" / "ntu60").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ntu60").symlink_to(tmp_path / "large_disk" / "ntu60")
    write(tmp_path / "data" / "ntu60", 3.0)
    assert (tmp_path / "data" / "ntu60").is_symlink()
    assert (np.load(tmp_path / "large_disk" / "ntu60" / "joints.npy") == 3).all()
    assert os.listdir(tmp_path / "data") == ["ntu60"]
