import os
from pathlib import Path

import numpy as np
import pytest

from common import UserError
from data_gen.writer import StoreWriter
from feeder.datasets import NTU_DATASETS

NTU60 = NTU_DATASETS["ntu60"]
FIELDS = (1, 2, 3, 1, 5)


def clip(frames: int, value: float = 0.0) -> np.ndarray:
    return np.full((frames, 2, 25, 3), value, np.float32)


def write(folder: Path, value: float = 0.0) -> None:
    with StoreWriter(folder, NTU60) as store:
        for name in "ab":
            store.add(name, FIELDS, clip(3, value))
        store.commit()


def test_what_is_written(tmp_path, rng):
    clips = [rng.normal(size=(frames, 2, 25, 3))[:, ::-1] for frames in (3, 400)]
    with StoreWriter(tmp_path / "new" / "ntu60", NTU60) as store:
        store.add("S001C002P003R001A060", (1, 2, 3, 1, 60), clips[0])
        store.add("S017C003P020R002A001", (17, 3, 20, 2, 1), clips[1].astype(np.float32))
        store.commit()
    assert (len(store.rows), store.frames) == (2, 403)
    assert store.split_counts() == {"cross_subject": (0, 2), "cross_view": (2, 0)}
    joints = np.load(store.folder / "joints.npy", allow_pickle=False)
    np.testing.assert_array_equal(joints, np.concatenate(clips).astype("<f4"))
    assert (store.folder / "samples.csv").read_bytes() == (
        b"name,setup,camera,subject,replication,action,start,frames\n"
        b"S001C002P003R001A060,1,2,3,1,60,0,3\n"
        b"S017C003P020R002A001,17,3,20,2,1,3,400\n"
    )
    assert sorted(os.listdir(store.folder)) == ["joints.npy", "samples.csv", "store.json"]


def test_what_does_not_fit_is_refused(tmp_path):
    with StoreWriter(tmp_path / "ntu60", NTU60) as store:
        store.add("b", FIELDS, clip(1))
        wrong = ("b", FIELDS, clip(1)), ("c", FIELDS, clip(1)[:, :1]), ("c", FIELDS[1:], clip(1))
        for name, fields, joints in wrong:
            with pytest.raises(ValueError):
                store.add(name, fields, joints)
        with pytest.raises(UserError, match="c, frame 2"):
            store.add("c", FIELDS, np.concatenate([clip(1), clip(1, np.nan)]))
        store.commit()
    assert len(np.load(tmp_path / "ntu60" / "joints.npy")) == 1


def test_the_store_before_stays_until_the_commit_and_after_it_for_who_has_it_open(tmp_path):
    folder = tmp_path / "ntu60"
    write(folder, 1.0)
    in_use = np.load(folder / "joints.npy", mmap_mode="r")
    with StoreWriter(folder, NTU60) as store:
        store.add("a", FIELDS, clip(100, 2.0))
        assert len(np.load(folder / "joints.npy")) == 6
        store.commit()
    np.testing.assert_array_equal(np.load(folder / "joints.npy"), clip(100, 2.0))
    np.testing.assert_array_equal(in_use, clip(6, 1.0))
    assert os.listdir(tmp_path) == ["ntu60"]


@pytest.mark.parametrize("exchanging", [False, True])
def test_what_a_killed_run_left_is_cleared(tmp_path, exchanging):
    folder = tmp_path / "ntu60"
    write(folder, 1.0)
    (tmp_path / ".ntu60.12345.part").mkdir()
    (tmp_path / ".ntu60.12345.part" / "joints.npy").write_bytes(b"half")
    if exchanging:
        folder.rename(tmp_path / ".ntu60.old")
    with StoreWriter(folder, NTU60):  # looks at the place and gives up
        assert (np.load(folder / "joints.npy") == 1).all()
    assert os.listdir(tmp_path) == ["ntu60"]


def test_what_is_no_store_is_not_replaced(tmp_path):
    folder = tmp_path / "ntu60"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"thesis.tex"):
        write(folder)
    assert (folder / "thesis.tex").read_text() == "years of work"
    assert os.listdir(tmp_path) == ["ntu60"]
