from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from common import UserError
from feeder.datasets import NTU_DATASETS
from feeder.description import UNLABELED
from feeder.store import open_store
from tests.tiny_store import write_store


@pytest.fixture
def root(tmp_path):
    return write_store(tmp_path)


def test_a_store_gives_the_clips_that_were_written(data_root):
    store = open_store(data_root, "ntu60")
    assert len(store.names) == len(store.length) == 48
    for column, letter in (("setup", "S"), ("camera", "C"), ("subject", "P"), ("action", "A")):
        numbers = [int(name[name.index(letter) + 1 :][:3]) for name in store.names]
        np.testing.assert_array_equal(getattr(store, column), numbers)
    np.testing.assert_array_equal(store.label, store.action - 1)
    frames = np.load(data_root / "ntu60/joints.npy")
    np.testing.assert_array_equal(np.concatenate([store.clip(row) for row in range(48)]), frames)
    assert store.num_classes == 60


def test_a_store_with_more_classes_than_its_data_set_has_them_all(root):
    edit(root / "ntu60/samples.csv", line=49, column=5, value="75")
    store = open_store(root, "ntu60")
    assert store.num_classes == len(store.class_names) == 75


@pytest.mark.parametrize("dataset", ["pkummd1", "ntu60"])
def test_older_stores_have_their_protocols_in_columns(root, dataset):
    (root / "ntu60").rename(root / dataset)
    path = root / dataset / "samples.csv"
    header, *lines = path.read_text().splitlines()
    rows = [f"{line},{i % 2},{i % 3 // 2}" for i, line in enumerate(lines)]
    path.write_text("\n".join([header + ",cross_subject,cross_view", *rows]) + "\n")
    store = open_store(root, dataset)
    np.testing.assert_array_equal(store.split("cross_subject")[0], range(1, 48, 2))
    np.testing.assert_array_equal(store.split("cross_view")[0], range(2, 48, 3))
    assert store.protocols == ("cross_subject", "cross_view")


def test_training_needs_no_test_clips_and_an_evaluation_needs_both_and_labels(data_root):
    store = open_store(data_root, "ntu60")
    every = replace(store, camera=np.full(48, 2))
    train, test = every.split("cross_view")
    assert len(train) == 48 and not len(test)
    unlabeled = replace(store, description=replace(store.description, classes=UNLABELED))
    assert len(unlabeled.split("cross_view")[1])
    for lacking in (every, unlabeled, none := replace(store, camera=np.full(48, 1))):
        with pytest.raises(UserError, match="ntu60"):
            lacking.require_split("cross_view")
    with pytest.raises(UserError, match="cross_view"):
        none.split("cross_view")


def edit(path: Path, line: int, column: int, value: str) -> None:
    lines = path.read_text().splitlines()
    fields = lines[line - 1].split(",")
    fields[column] = value
    lines[line - 1] = ",".join(fields)
    path.write_text("\n".join(lines) + "\n")


J, S = "joints.npy", "samples.csv"
DAMAGES = {
    "no samples": (S, lambda p: p.unlink()),
    "joints cut": (J, lambda p: p.write_bytes(p.read_bytes()[:-1])),
    "a frame lost": (J, lambda p: np.save(p, np.load(p)[:-1])),
    "no camera": (S, lambda p: edit(p, 1, 2, "kamera")),
    "word": (S, lambda p: edit(p, 5, 3, "Ann")),
    "action 0": (S, lambda p: edit(p, 2, 5, "0")),
    "gap": (S, lambda p: edit(p, 4, 6, "7")),
    "description cut": ("store.json", lambda p: p.write_text(NTU_DATASETS["ntu60"].to_json()[:-9])),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_is_refused_with_folder_and_fix(root, damage):
    name, mutate = DAMAGES[damage]
    mutate(root / "ntu60" / name)
    with pytest.raises(UserError) as refusal:
        open_store(root, "ntu60")
    assert all(part in str(refusal.value) for part in (str(root / "ntu60"), "ntu_gendata.py"))


def test_unknown_data_sets_are_refused_and_those_found_named(data_root):
    with pytest.raises(UserError, match="ntu120, ntu60"):
        open_store(data_root, "ntu61")


def spoil(root: Path, value: float) -> str:
    lines = (root / "ntu60/samples.csv").read_text().splitlines()
    name, *_, start, frames = lines[18].split(",")
    joints = np.load(root / "ntu60/joints.npy", mmap_mode="r+")
    joints[int(start) + int(frames) - 1, 1, 24, 2] = value
    joints.flush()
    return name


@pytest.mark.parametrize("value", [np.nan, -1001])
def test_a_wrong_coordinate_of_an_older_store_is_refused_by_clip(root, value):
    name = spoil(root, value)
    for _ in range(2):
        with pytest.raises(UserError, match=name):
            open_store(root, "ntu60")


def test_coordinates_of_an_older_store_are_read_once(root, monkeypatch):
    def refuse(path):
        raise PermissionError(path)

    with monkeypatch.context() as read_only:
        read_only.setattr(Path, "touch", refuse)
        open_store(root, "ntu60")
    assert not (root / "ntu60/.checked").exists()
    open_store(root, "ntu60")
    spoil(root, np.nan)
    open_store(root, "ntu60")
