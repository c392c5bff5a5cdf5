"""Opening a store: what it holds, and what is refused."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import feeder.store
from data_gen.writer import StoreWriter
from feeder.datasets.ntu import DATASETS
from feeder.description import UNLABELED
from feeder.store import StoreError, open_store
from tests.tiny_store import tiny_clip


@pytest.fixture
def root(tmp_path, data_root):
    """A tiny ntu60 to damage."""
    shutil.copytree(
        data_root / "ntu60", tmp_path / "ntu60", ignore=shutil.ignore_patterns(".checked")
    )
    return tmp_path


# ---- what a store holds


def test_a_store_gives_the_clips_that_were_written(data_root):
    store = open_store(data_root, "ntu60")
    assert len(store.names) == len(store.length) == 48
    assert store.names == sorted(store.names)
    assert store.joints.shape == (store.length.sum(), 2, 25, 3)
    assert store.joints.dtype == np.float32
    assert isinstance(store.joints, np.memmap)
    for column, letter in (("setup", "S"), ("camera", "C"), ("subject", "P"), ("action", "A")):
        numbers = [int(name[name.index(letter) + 1 :][:3]) for name in store.names]
        np.testing.assert_array_equal(getattr(store, column), numbers)
    np.testing.assert_array_equal(store.label, store.action - 1)
    assert store.num_classes == 60 and store.has_labels
    assert open_store(data_root, "ntu120").num_classes == 120


def test_each_clip_lies_where_its_row_says(tmp_path):
    rng = np.random.default_rng(0)
    clips = [tiny_clip(action, n, rng) for action, n in ((1, 5), (2, 1), (3, 70))]
    folder = tmp_path / "ntu60"
    folder.mkdir()
    np.save(folder / "joints.npy", np.concatenate(clips))
    (folder / "samples.csv").write_text(
        "name,setup,camera,subject,replication,action,start,frames\n"
        'a,1,2,3,1,1,0,5\n"b, c",1,2,3,1,2,5,1\nc#é,1,2,3,1,3,6,70\n'
    )
    store = open_store(tmp_path, "ntu60")
    assert store.names == ["a", "b, c", "c#é"]
    for row, clip in enumerate(clips):
        np.testing.assert_array_equal(store.clip(row), clip)


def test_columns_are_found_by_name_and_others_are_let_be(root):
    path = root / "ntu60/samples.csv"
    before = open_store(root, "ntu60")
    rows = [line.split(",") for line in path.read_text().splitlines()]
    turned = ["extra," + ",".join(row[::-1]) for row in rows]
    turned = [turned[0]] + [line.replace("extra", "word", 1) for line in turned[1:]]
    path.write_text("\r\n".join(turned) + "\r\n")
    after = open_store(root, "ntu60")
    assert after.names == before.names
    np.testing.assert_array_equal(after.start, before.start)
    assert after.fingerprint != before.fingerprint


def test_a_store_with_more_classes_than_its_data_set_has_them_all(root):
    edit(root / "ntu60/samples.csv", line=49, column=5, value="75")
    store = open_store(root, "ntu60")
    assert store.num_classes == len(store.class_names) == 75


@pytest.mark.parametrize("dataset", ["pkummd1", "ntu60"])
def test_older_stores_have_their_protocols_in_columns(root, dataset):
    """Without store.json; an old ntu60 may hold the split of an import."""
    (root / "ntu60").rename(root / dataset)
    path = root / dataset / "samples.csv"
    header, *lines = path.read_text().splitlines()
    rows = [f"{line},{i % 2},{i % 3 // 2}" for i, line in enumerate(lines)]
    path.write_text("\n".join([header + ",cross_subject,cross_view", *rows]) + "\n")
    store = open_store(root, dataset)
    np.testing.assert_array_equal(store.split("cross_subject")[0], range(1, 48, 2))
    np.testing.assert_array_equal(store.split("cross_view")[0], range(2, 48, 3))
    assert store.protocols == ("cross_subject", "cross_view")


# ---- splits


@pytest.mark.parametrize(
    ("dataset", "protocol"), [(name, p) for name, d in DATASETS.items() for p in d.splits]
)
def test_protocols_split_the_clips_by_their_names(data_root, dataset, protocol):
    store = open_store(data_root, dataset)
    train, test = store.require_split(protocol)
    assert sorted([*train, *test]) == list(range(len(store.names)))
    for rows, part in ((train, True), (test, False)):
        for name in (store.names[row] for row in rows):
            setup, camera, subject = int(name[1:4]), int(name[5:8]), int(name[9:12])
            rules = {
                "cross_subject": subject in (1, 2),  # of the tiny store's 1, 2, 3 and 6
                "cross_view": camera in (2, 3),
                "cross_setup": setup % 2 == 0,
            }
            assert rules[protocol] == part


@pytest.mark.parametrize(
    ("dataset", "protocol"), [("ntu60", "cross_setup"), ("ntu120", "cross_view"), ("ntu60", "x")]
)
def test_a_protocol_that_the_data_set_has_not_is_refused(data_root, dataset, protocol):
    with pytest.raises(StoreError, match=f"{dataset}.*{protocol}.*cross_subject"):
        open_store(data_root, dataset).split(protocol)


def test_training_needs_no_test_clips_and_an_evaluation_needs_both_and_labels(data_root):
    store = open_store(data_root, "ntu60")
    every = replace(store, camera=np.full(48, 2))
    train, test = every.split("cross_view")
    assert len(train) == 48 and not len(test)
    unlabeled = replace(store, description=replace(store.description, classes=UNLABELED))
    assert len(unlabeled.split("cross_view")[1]) and not unlabeled.has_labels
    for lacking in (every, unlabeled, none := replace(store, camera=np.full(48, 1))):
        with pytest.raises(StoreError, match="ntu60"):
            lacking.require_split("cross_view")
    with pytest.raises(StoreError, match="cross_view"):
        none.split("cross_view")


# ---- what is refused


def edit(path: Path, line: int, column: int, value: str) -> None:
    """Put a value into a line (from 1) and column (from 0) of a CSV file."""
    lines = path.read_text().splitlines()
    fields = lines[line - 1].split(",")
    fields[column] = value
    lines[line - 1] = ",".join(fields)
    path.write_text("\n".join(lines) + "\n")


def cut_lines(path: Path, lines: slice) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[lines]))


J, S = "joints.npy", "samples.csv"
DAMAGES = {
    "no joints": (J, lambda p: p.unlink()),
    "no samples": (S, lambda p: p.unlink()),
    "joints cut": (J, lambda p: p.write_bytes(p.read_bytes()[:-1])),
    "joints empty": (J, lambda p: p.write_bytes(b"")),
    "joints text": (J, lambda p: p.write_text("hello " * 99)),
    "header cut": (J, lambda p: p.write_bytes(p.read_bytes()[:40])),
    "half precision": (J, lambda p: np.save(p, np.zeros((9, 2, 25, 3), "f2"))),
    "objects": (J, lambda p: np.save(p, np.array([{}] * 3), allow_pickle=True)),
    "axes": (J, lambda p: np.save(p, np.load(p).swapaxes(1, 2).copy())),
    "three axes": (J, lambda p: np.save(p, np.load(p).reshape(-1, 50, 3))),
    "no frame": (J, lambda p: np.save(p, np.load(p)[:0])),
    "a frame lost": (J, lambda p: np.save(p, np.load(p)[:-1])),
    "no header line": (S, lambda p: cut_lines(p, slice(1, None))),
    "only a header": (S, lambda p: cut_lines(p, slice(1))),
    "nothing": (S, lambda p: p.write_text("")),
    "no camera": (S, lambda p: edit(p, 1, 2, "kamera")),
    "too few": (S, lambda p: edit(p, 3, 7, "1\n1,2")),
    "word": (S, lambda p: edit(p, 5, 3, "Ann")),
    "zero frames": (S, lambda p: edit(p, 2, 7, "0")),
    "action 0": (S, lambda p: edit(p, 2, 5, "0")),
    "beyond int64": (S, lambda p: edit(p, 2, 5, "9" * 30)),
    "first start": (S, lambda p: edit(p, 2, 6, "1")),
    "gap": (S, lambda p: edit(p, 4, 6, "7")),
    "row lost": (S, lambda p: cut_lines(p, slice(-1))),
    "binary": (S, lambda p: p.write_bytes(b"\xff\xfe\x00name")),
    "description cut": ("store.json", lambda p: p.write_text(DATASETS["ntu60"].to_json()[:-9])),
    "other format": ("store.json", lambda p: p.write_text('{"format": "umurl store 9"}')),
    "other skeleton": ("store.json", lambda p: p.write_text(_of_one_body())),
}


def _of_one_body() -> str:
    layout = replace(DATASETS["ntu60"].layout, bodies=1)
    return replace(DATASETS["ntu60"], layout=layout).to_json()


@pytest.mark.filterwarnings("ignore:loadtxt")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_is_refused_with_folder_and_mend(root, damage):
    name, mutate = DAMAGES[damage]
    mutate(root / "ntu60" / name)
    with pytest.raises(StoreError) as refusal:
        open_store(root, "ntu60")
    text = str(refusal.value)
    assert str(root / "ntu60") in text and "\n" not in text
    assert "ntu_gendata.py" in text  # the mend


@pytest.mark.parametrize("name", ["ntu61", "", ".", "../data", ".hidden"])
def test_unknown_data_sets_are_refused_and_those_found_named(data_root, name):
    with pytest.raises(StoreError, match=f"{data_root} holds ntu120, ntu60"):
        open_store(data_root, name)


def test_a_store_of_another_name_needs_its_description(root):
    (root / "ntu60").rename(root / "mine")
    with pytest.raises(StoreError, match=r"store\.json"):
        open_store(root, "mine")


# ---- coordinates are checked once


def spoil(root: Path, value: float = np.nan) -> str:
    """Put a value into the last coordinate of a clip; return the clip's name."""
    store, row, path = open_store(root, "ntu60"), 17, root / "ntu60/joints.npy"
    joints = np.load(path)
    joints[store.start[row] + store.length[row] - 1, 1, 24, 2] = value
    np.save(path, joints)
    later = path.stat().st_mtime + 1  # than what notes that the coordinates were checked
    os.utime(path, (later, later))
    return store.names[row]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1001, -1e30])
def test_a_wrong_coordinate_is_refused_by_clip_at_each_opening(root, value):
    name = spoil(root, value)
    for _ in range(2):
        with pytest.raises(StoreError, match=name):
            open_store(root, "ntu60")


@pytest.mark.parametrize("checked", [False, True])
def test_coordinates_are_read_once_and_again_only_if_they_change(root, checked, monkeypatch):
    if checked:  # when the store was written
        text = replace(DATASETS["ntu60"], checked=True).to_json()
        (root / "ntu60/store.json").write_text(text)
    calls = []
    monkeypatch.setattr(feeder.store, "check_coordinates", lambda *_: calls.append(1))
    open_store(root, "ntu60")
    open_store(root, "ntu60")
    assert len(calls) == (not checked)
    assert (root / "ntu60/.checked").exists() == (not checked)
    spoil(root)
    open_store(root, "ntu60")
    assert len(calls) == 1 + (not checked)


def test_a_store_that_was_just_written_is_not_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(feeder.store, "check_coordinates", None)
    with StoreWriter(tmp_path / "ntu60", DATASETS["ntu60"]) as writer:
        writer.add("a", (1, 1, 1, 1, 1), np.ones((900, 2, 25, 3), np.float32))
        writer.commit()
    assert open_store(tmp_path, "ntu60").description.checked
    assert sorted(os.listdir(tmp_path / "ntu60")) == ["joints.npy", "samples.csv", "store.json"]


def test_a_store_in_a_read_only_folder_is_opened(root, monkeypatch):
    def refuse(path):
        raise PermissionError(path)

    monkeypatch.setattr(Path, "touch", refuse)
    assert len(open_store(root, "ntu60").names) == 48


def test_a_file_that_is_cut_short_later_is_noticed(root):
    store = open_store(root, "ntu60")
    store.require_whole()
    os.truncate(root / "ntu60/joints.npy", 5000)
    with pytest.raises(StoreError, match=r"joints\.npy"):
        store.require_whole()
