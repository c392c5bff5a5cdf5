"""Files of other code become the store that the raw recordings become, or are refused."""

import os
import pickle
import shutil
import tracemalloc

import numpy as np
import pytest

from common import UserError
from data_gen.clip import prepare_clip
from data_gen.readers.skeleton_file import read_skeleton_file
from feeder.store import Store
from tests import golden_files
from tests.literal import preprocess
from tests.tools.formats import foreign
from tests.tools.formats.converting import converted, imported
from tests.tools.formats.foreign import Opens


def assert_same(store: Store, expected: dict[str, np.ndarray]) -> None:
    assert store.names == sorted(expected)
    for row, name in enumerate(store.names):
        assert store.action[row] == int(name[17:20]) and store.subject[row] == int(name[9:12])
        np.testing.assert_allclose(store.clip(row), expected[name], atol=2e-6)


# ---- CTR-GCN, MAMP


@pytest.mark.parametrize(
    ("file", "protocol", "classes", "target"),
    [
        ("NTU60_CS.npz", "cross_subject", 60, "ntu60"),
        ("NTU60_XView.npz", "cross_view", 60, "ntu60"),
        ("NTU120_CSub.npz", "cross_subject", 120, "ntu120"),
        ("NTU120_XSet.npz", "cross_setup", 120, "ntu120"),
    ],
)
def test_npz_with_names_is_the_store_of_the_raw_files(
    raw, expected, tmp_path, file, protocol, classes, target
):
    twice = classes == 120
    train, _ = foreign.ctrgcn_npz(raw, tmp_path / file, protocol, classes=classes, twice=twice)
    if protocol == "cross_view":  # compressed, and other floats
        content = dict(np.load(tmp_path / file))
        content |= {k: v.astype(">f8") for k, v in content.items() if k.startswith("x")}
        np.savez_compressed(tmp_path / file, **content)
    # Names that the list has and the file has not: an officially missing clip; of NTU-120 in 60.
    more = ["S001C002P005R002A008", *(["S031C001P099R001A110"] * (classes == 60))]
    (tmp_path / "names.txt").write_text("\n".join(sorted([*expected, *more])))
    store = imported(tmp_path / file, tmp_path / target, "--names", tmp_path / "names.txt")
    assert_same(store, expected)  # also a single person that the file holds twice
    assert store.title == f"NTU RGB+D {classes}" and file in store.description.origin
    assert [store.names[row] for row in store.split(protocol)[0]] == sorted(train)
    assert store.description.official["cross_subject"]  # what a comparison with the paper asks for


def test_npz_without_names_has_invented_ones_and_its_split(raw, expected, tmp_path):
    split = foreign.ctrgcn_npz(raw, tmp_path / "NTU60_CV.npz", "cross_view")
    store = imported(tmp_path / "NTU60_CV.npz", tmp_path / "ntu60")
    assert store.protocols == ("cross_view",) and store.num_classes == 60
    for rows, names in zip(store.split("cross_view"), split, strict=True):
        for row, name in zip(rows, names, strict=True):  # the file's order
            assert store.label[row] == int(name[17:20]) - 1
            np.testing.assert_allclose(store.clip(row), expected[name], atol=2e-6)


def test_pku_mmd_by_its_classes(raw, tmp_path):
    foreign.ctrgcn_npz(raw, tmp_path / "PKUv2_XSub.npz", "cross_subject", classes=51)
    for target, title in (("pkummd1", "PKU-MMD I"), ("other", "PKU-MMD II")):
        assert imported(tmp_path / "PKUv2_XSub.npz", tmp_path / target).title == title


def test_the_bodies_of_pku_mmd_stay_as_they_stand(tmp_path):
    still = np.random.default_rng(0).normal([0, 0, 3], 0.4, (25, 3))
    moving = still + 2 + np.linspace(0, 2, 20)[:, None, None]
    x = np.stack([np.repeat(still[None], 20, 0), moving], axis=1)  # (T, M, V, C)
    for classes, by_energy in ((51, False), (60, True)):
        x_train, y = x.reshape(1, 20, 150), np.eye(classes)[:1]
        path = tmp_path / f"{classes}_XSub.npz"
        np.savez(path, x_train=x_train, x_test=x_train, y_train=y, y_test=y)
        clip = imported(path, tmp_path / f"of_{classes}").clip(0)
        np.testing.assert_allclose(clip, prepare_clip(x, by_energy=by_energy), atol=1e-5)


def test_memory_does_not_grow_with_the_file(tmp_path):
    """The file has 230 MB; less than 60 MB of memory are used."""
    x = np.zeros((640, 300, 150), np.float32)
    x[:, :5] = np.random.default_rng(0).normal(0, 0.4, (5, 150))
    y = np.eye(60)[np.arange(640) % 60]
    np.savez(tmp_path / "NTU60_CS.npz", x_train=x, x_test=x, y_train=y, y_test=y)
    del x
    tracemalloc.start()
    try:
        store = imported(tmp_path / "NTU60_CS.npz", tmp_path / "ntu60")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(store.joints) == 5 * 1280 and peak < 60e6


@pytest.mark.parametrize(
    "lines",
    [
        lambda names: names[::-1],
        lambda names: [*names, "no name"],
        lambda names: [],
    ],
)
def test_names_that_do_not_fit_are_refused(raw, expected, tmp_path, lines):
    foreign.ctrgcn_npz(raw, tmp_path / "NTU60_CS.npz", "cross_subject")
    (tmp_path / "n.txt").write_text("\n".join(lines(sorted(expected))))
    with pytest.raises(UserError, match=r"n\.txt"):
        imported(tmp_path / "NTU60_CS.npz", tmp_path / "ntu60", "--names", tmp_path / "n.txt")
    assert not (tmp_path / "ntu60").exists()


def test_a_folder_named_for_another_data_set_and_an_unknown_split_are_refused(raw, tmp_path):
    foreign.ctrgcn_npz(raw, tmp_path / "mine.npz", "cross_subject")
    shutil.copy(tmp_path / "mine.npz", tmp_path / "NTU60_CS.npz")
    for file, target, flags, named in (
        ("mine.npz", "ntu60", (), "--protocol"),
        ("NTU60_CS.npz", "ntu120", (), "ntu120"),
        ("NTU60_CS.npz", "ntu60", ("--protocol", "cross_setup"), "cross_setup"),
    ):
        with pytest.raises(UserError, match=named):
            imported(tmp_path / file, tmp_path / target, *flags)
    assert imported(tmp_path / "mine.npz", tmp_path / "a", "--protocol", "cross_view").protocols


def test_arrays_of_python_objects_are_named_so(tmp_path):
    objects = {f"x_{part}": np.array([None] * 3) for part in ("train", "test")}
    np.savez(tmp_path / "NTU60_CS.npz", **objects, y_train=np.eye(60)[:3], y_test=np.eye(60)[:3])
    with pytest.raises(UserError, match="Python objects"):
        imported(tmp_path / "NTU60_CS.npz", tmp_path / "ntu60")


# ---- pyskl, mmaction2


@pytest.mark.parametrize("protocol", range(6))
def test_pkl_is_the_store_of_the_raw_files_to_the_step_of_float16(raw, tmp_path, protocol):
    splits = {"xsub": "cross_subject", "xview": "cross_view"}
    foreign.pyskl_pkl(raw, tmp_path / "ntu60_3danno.pkl", splits, protocol=protocol)
    store = imported(tmp_path / "ntu60_3danno.pkl", tmp_path / "ntu60")
    # What the same numbers give, read from the raw files and rounded.
    rounded = {
        path.stem: prepare_clip(read_skeleton_file(path).astype(np.float16).astype(float))
        for path in raw.glob("*.skeleton")
    }
    assert_same(store, rounded)
    assert store.protocols == ("cross_subject", "cross_view")


def test_pkl_whose_split_is_not_the_official_one_says_so(raw, tmp_path, capsys):
    foreign.pyskl_pkl(raw, tmp_path / "a.pkl", {"xsub": "cross_view"})
    store = imported(tmp_path / "a.pkl", tmp_path / "ntu60")
    assert " 4 clips" in capsys.readouterr().out
    train, _ = store.split("cross_subject")
    assert {int(subject) for subject in store.subject[train]} == {1, 2}


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_hostile_pickle_runs_nothing(tmp_path, protocol):
    ran = tmp_path / "ran"
    bad = [Opens(str(ran)), np.array([None]), np.zeros(2, "U3"), np.zeros(2, [("a", "f4")])]
    clip = {"frame_dir": "S001C001P001R001A001", "label": 0, "total_frames": 1}
    for value in (*bad, {1}, os.system):
        for keypoint, split in ((value, {}), (np.zeros((1, 1, 25, 3)), value)):
            content = {"annotations": [clip | {"keypoint": keypoint}], "split": split}
            (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol))
            with pytest.raises(UserError, match=r"a\.pkl"):
                imported(tmp_path / "a.pkl", tmp_path / "ntu60")
            assert [path.name for path in tmp_path.iterdir()] == ["a.pkl"]


# ---- folders of arrays


def test_the_published_arrays_become_the_store_that_raw_files_become(tmp_path):
    raw = golden_files.GOLDEN / "skeletons"
    preprocess.write_protocol(raw, "cross_subject", tmp_path / "padded")
    store = imported(tmp_path / "padded", tmp_path / "data" / "ntu60")
    assert store.names == sorted(path.stem for path in raw.glob("*.skeleton"))
    for row, name in enumerate(store.names):
        clip = prepare_clip(read_skeleton_file(raw / f"{name}.skeleton"))
        np.testing.assert_allclose(store.clip(row), clip, atol=1e-5)


def test_camera_arrays_are_the_store_of_the_raw_files(raw, expected, tmp_path):
    foreign.stgcn_arrays(raw, tmp_path / "NTU" / "xsub", "cross_subject")
    np.save(tmp_path / "NTU" / "xsub" / "train_position.npy", np.zeros(3))  # made from them
    assert_same(imported(tmp_path / "NTU" / "xsub", tmp_path / "ntu60"), expected)
    with pytest.raises(UserError, match="xsub"):
        imported(tmp_path / "NTU", tmp_path / "other" / "ntu60")


@pytest.mark.parametrize("counts", [True, False])
def test_arrays_turned_onto_z_are_refused(raw, tmp_path, counts):
    foreign.turned_arrays(raw, tmp_path / "a", "cross_subject", counts=counts)
    with pytest.raises(UserError, match="10 of 10"):
        imported(tmp_path / "a", tmp_path / "ntu60")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_resampled_arrays_are_refused_by_name(tmp_path):
    np.save(tmp_path / "train_position.npy", np.zeros((2, 3, 50, 25, 2), np.float32))
    with pytest.raises(UserError, match=r"_position\.npy"):
        imported(tmp_path, tmp_path / "ntu60")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("train_data_joint.npy", None),
        ("val_num_frame.npy", b"no array"),
        ("val_label.pkl", b"\x80\x04]"),
        ("val_label.pkl", (["a"], [1])),
        ("val_label.pkl", (["S001C001P001R001A002"] * 24, [1] * 24)),
        ("val_label.pkl", ([f"{i}" for i in range(24)], [1] * 24)),
        ("val_label.pkl", ([f"S001C001P001R001A{i + 9:03}" for i in range(24)], [0] * 24)),
        ("val_num_frame.npy", np.zeros(24, int)),
        ("train_data_joint.npy", np.zeros((24, 3, 300, 25))),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, data_root, file, content):
    converted("to-arrays", data_root / "ntu60", tmp_path / "a")
    for own in ("store.json", "samples.csv"):  # as arrays of other code are
        (tmp_path / "a" / own).unlink()
    path = tmp_path / "a" / file
    path.unlink()
    if isinstance(content, np.ndarray):
        np.save(path, content)
    elif content is not None:
        path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))
    with pytest.raises((UserError, OSError), match=str(tmp_path / "a")):
        imported(tmp_path / "a", tmp_path / "ntu60")
    assert not (tmp_path / "ntu60").exists()


# ---- damaged files


@pytest.mark.parametrize("name", ["NTU60_CS.npz", "a.pkl"])
def test_damaged_files_are_taken_or_refused(raw, tmp_path, name):
    file = tmp_path / name
    if name == "a.pkl":
        foreign.pyskl_pkl(raw, file, {"xsub": "cross_subject"})
    else:
        foreign.ctrgcn_npz(raw, file, "cross_subject")
    whole, rng, refused = file.read_bytes(), np.random.default_rng(0), 0
    for _ in range(40):
        content = bytearray(whole)
        for _ in range(rng.choice([1, 3, 10])):  # changed or inserted, mostly near an end
            start = rng.choice([0, len(content) - 600, rng.integers(len(content) - 600)])
            place, some = int(start + rng.integers(500)), rng.bytes(rng.choice([1, 4, 50]))
            content[place : place + len(some) * int(rng.integers(2))] = some
        file.write_bytes(content)
        try:
            imported(file, tmp_path / "out")
            shutil.rmtree(tmp_path / "out")
        except UserError:
            refused += 1
        assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert refused > 13
