"""Files of other code become the store that the raw recordings become."""

import os
import pickle
import shutil
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from data_gen.preparing.clip import prepare_clip
from data_gen.readers.skeleton_file import SampleName, read_skeleton_file
from data_gen.synthetic import write_recordings
from feeder.store import Store, open_store
from tests.tiny_store import write_store
from tests.tools.formats import foreign
from tools import convert
from tools.cli import UserError

# Two subjects that train and two that test, three cameras, one and two people (from A050 on).
SAMPLES = [
    SampleName(1 + (p + c) % 2, c, p, 1, action)
    for p, c, action in [
        *((1, 1, 7), (1, 2, 10), (1, 3, 50), (2, 1, 55), (2, 2, 7), (2, 3, 23)),
        *((3, 1, 50), (3, 2, 58), (6, 1, 10), (6, 3, 24)),
    ]
]


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    """A folder of synthetic recordings."""
    folder = tmp_path_factory.mktemp("import") / "raw"
    write_recordings(folder, SAMPLES, seed=3)
    return folder


@pytest.fixture(scope="module")
def expected(raw) -> dict[str, np.ndarray]:
    """Of each recording the clip that is prepared from its raw file."""
    return {path.stem: prepare_clip(read_skeleton_file(path)) for path in raw.glob("*.skeleton")}


def imported(source: Path, target: Path, *flags: object) -> Store:
    """What the command makes of a file."""
    convert.main(["import", str(source), str(target), *map(str, flags)])
    return open_store(target.parent, target.name)


def names_file(raw: Path, path: Path, *more: str) -> Path:
    """The list of names that goes with CTR-GCN's files; more: of clips that are not in the file."""
    names = sorted([*(path.stem for path in raw.glob("*.skeleton")), *more])
    path.write_text("\n".join(names) + "\n")
    return path


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
    raw, expected, tmp_path, capsys, file, protocol, classes, target
):
    foreign.ctrgcn_npz(raw, tmp_path / file, protocol, classes=classes, twice=classes == 120)
    # Names of clips that were left out: one that is officially missing, one of another data set,
    # and one of an action that none of its subject's clips beside it has.
    more = ["S001C002P005R002A008", "S031C001P099R001A110", "S001C001P001R002A033"]
    names = names_file(raw, tmp_path / "skes_available_name.txt", *more)
    store = imported(tmp_path / file, tmp_path / target, "--names", names)
    assert_same(store, expected)
    said = capsys.readouterr().out
    assert f"{classes} classes" in said and f"{protocol}: " in said and "not the official" in said
    assert store.title == f"NTU RGB+D {classes}" and file in store.description.origin
    train, _ = store.split(protocol)
    assert [store.names[row] for row in train] == [
        name for name in sorted(expected) if foreign.in_training_set(name, protocol)
    ]
    assert store.official("cross_subject")  # what a comparison with the paper asks for


def test_npz_without_names_has_invented_ones_and_its_split(raw, expected, tmp_path, capsys):
    halves = foreign.ctrgcn_npz(raw, tmp_path / "NTU60_CV.npz", "cross_view")
    store = imported(tmp_path / "NTU60_CV.npz", tmp_path / "ntu60")
    assert store.protocols == ("cross_view",) and store.num_classes == 60
    train, test = store.split("cross_view")
    for rows, names in zip((train, test), halves, strict=True):
        assert len(rows) == len(names)
        for row, name in zip(rows, names, strict=True):  # the file's order
            assert store.label[row] == int(name[17:20]) - 1
            np.testing.assert_allclose(store.clip(row), expected[name], atol=2e-6)
    assert "train" in store.names[train[0]] and "test" in store.names[test[0]]
    assert "cross_view: 6 training and 4 test clips" in capsys.readouterr().out


def test_a_person_who_stands_there_twice_is_one(raw, expected, tmp_path):
    foreign.ctrgcn_npz(raw, tmp_path / "NTU120_CSub.npz", "cross_subject", twice=True)
    store = imported(tmp_path / "NTU120_CSub.npz", tmp_path / "ntu60")
    single = sum(not clip[:, 1].any() for clip in expected.values())
    assert 0 < single == sum(not store.clip(row)[:, 1].any() for row in range(len(store.names)))


def test_pku_mmd_by_its_classes(raw, tmp_path):
    foreign.ctrgcn_npz(raw, tmp_path / "a.npz", "cross_subject", classes=60)
    content = dict(np.load(tmp_path / "a.npz"))
    for half in ("train", "test"):
        content[f"y_{half}"] = np.eye(51)[content[f"y_{half}"].argmax(1) % 51]
    np.savez(tmp_path / "PKUv2_XSub.npz", **content)
    for target, title in (("pkummd2", "II"), ("pkummd1", "I"), ("other", "II")):
        store = imported(tmp_path / "PKUv2_XSub.npz", tmp_path / target)
        assert store.title == f"PKU-MMD {title}" and store.protocols == ("cross_subject",)


def test_compressed_and_other_floats_are_read_too(raw, expected, tmp_path):
    foreign.ctrgcn_npz(raw, tmp_path / "a.npz", "cross_subject")
    content = dict(np.load(tmp_path / "a.npz"))
    content |= {k: v.astype(">f8") for k, v in content.items() if k.startswith("x")}
    np.savez_compressed(tmp_path / "NTU60_CS.npz", **content)
    names = names_file(raw, tmp_path / "n.txt")
    before = sorted(tmp_path.iterdir())
    assert_same(imported(tmp_path / "NTU60_CS.npz", tmp_path / "x", "--names", names), expected)
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "x"])


def test_memory_does_not_grow_with_the_file(tmp_path):
    """230 MB, of which a few at a time are in memory."""
    clips, frames = 1280, 300
    x = np.zeros((frames, 150), np.float32)
    x[:5] = np.random.default_rng(0).normal(0, 0.4, (5, 150))
    header = {"descr": "<f4", "fortran_order": False, "shape": (clips, frames, 150)}
    with zipfile.ZipFile(tmp_path / "NTU60_CS.npz", "w") as archive:
        for half in ("train", "test"):
            header["shape"] = (clips // 2, frames, 150)
            with archive.open(f"x_{half}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array_header_1_0(file, header)
                for _ in range(clips // 2):
                    file.write(x.data)
            with archive.open(f"y_{half}.npy", "w") as file:
                np.save(file, np.eye(60)[np.arange(clips // 2) % 60])
    size = (tmp_path / "NTU60_CS.npz").stat().st_size
    tracemalloc.start()
    try:
        store = imported(tmp_path / "NTU60_CS.npz", tmp_path / "ntu60")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(store.names) == clips and len(store.joints) == 5 * clips
    assert size > 230e6 and peak < 60e6


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
    assert "4 clips are in another half of cross_subject" in capsys.readouterr().err
    train, _ = store.split("cross_subject")
    assert {int(subject) for subject in store.subject[train]} == {1, 2}


def test_pkl_of_other_recordings_brings_its_splits(raw, tmp_path):
    foreign.pyskl_pkl(raw, tmp_path / "a.pkl", {"xsub": "cross_subject"})
    content = pickle.loads((tmp_path / "a.pkl").read_bytes())
    for clip in content["annotations"]:
        clip["frame_dir"] = "my-" + clip["frame_dir"]
    content["split"] = {k: [f"my-{n}" for n in v] for k, v in content["split"].items()}
    (tmp_path / "mine.pkl").write_bytes(pickle.dumps(content, 4))
    store = imported(tmp_path / "mine.pkl", tmp_path / "own")
    assert store.title == "mine" and store.protocols == ("cross_subject",)
    train, _ = store.split("cross_subject")
    assert all(int(store.names[row][12:15]) in (1, 2) for row in train)


@pytest.mark.parametrize(("prefix", "file"), [("a\n", "a.pkl"), ("my-", "a\x07.pkl")])
def test_names_that_cannot_be_printed_are_refused_in_one_line(raw, tmp_path, prefix, file):
    foreign.pyskl_pkl(raw, tmp_path / file, {"xsub": "cross_subject"})
    content = pickle.loads((tmp_path / file).read_bytes())
    for clip in content["annotations"]:
        clip["frame_dir"] = prefix + clip["frame_dir"]
    content["split"] = {k: [prefix + n for n in v] for k, v in content["split"].items()}
    (tmp_path / file).write_bytes(pickle.dumps(content, 4))
    with pytest.raises(UserError, match=r"no name of a clip|print"):
        imported(tmp_path / file, tmp_path / "own")
    assert [path.name for path in tmp_path.iterdir()] == [file]


class Opens:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize(
    "value",
    [
        Opens,
        lambda _: np.array([None]),
        lambda _: np.zeros(2, "U3"),
        lambda _: np.zeros(2, [("a", "f4")]),
        lambda _: {1},
        lambda _: os.system,
    ],
)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_hostile_pickle_runs_nothing(tmp_path, value, protocol):
    clip = {"frame_dir": "S001C001P001R001A001", "label": 0, "total_frames": 1}
    for keypoint, split in ((value, lambda _: {}), (lambda _: np.zeros((1, 1, 25, 3)), value)):
        annotation = clip | {"keypoint": keypoint(str(tmp_path / "ran"))}
        content = {"annotations": [annotation], "split": split(str(tmp_path / "ran"))}
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol))
        (tmp_path / "ran").unlink(missing_ok=True)
        with pytest.raises(UserError) as error:
            imported(tmp_path / "a.pkl", tmp_path / "ntu60")
        assert "\n" not in str(error.value) and str(tmp_path / "a.pkl") in str(error.value)
        assert [path.name for path in tmp_path.iterdir()] == ["a.pkl"]


# ---- arrays


def test_camera_arrays_are_the_store_of_the_raw_files(raw, expected, tmp_path):
    foreign.stgcn_arrays(raw, tmp_path / "NTU" / "xsub", "cross_subject")
    assert_same(imported(tmp_path / "NTU" / "xsub", tmp_path / "ntu60"), expected)
    with pytest.raises(UserError, match="name one of its folders xsub"):
        imported(tmp_path / "NTU", tmp_path / "other" / "ntu60")


@pytest.mark.parametrize("counts", [True, False])
def test_arrays_turned_onto_z_are_refused_with_the_reason(raw, tmp_path, counts):
    foreign.turned_arrays(raw, tmp_path / "a", "cross_subject", counts=counts)
    with pytest.raises(UserError, match="spine lies along z in 10 of 10 clips"):
        imported(tmp_path / "a", tmp_path / "ntu60")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("file", [False, True])
def test_resampled_arrays_are_refused_by_name(tmp_path, file):
    foreign.resampled_arrays(tmp_path / "a")
    source = tmp_path / "a" / "train_position.npy" if file else tmp_path / "a"
    with pytest.raises(UserError, match=r"train_position.npy is of AimCLR's kind"):
        imported(source, tmp_path / "ntu60")


# ---- what a store becomes and comes back from


@pytest.mark.parametrize("kind", ["npz", "pkl", "arrays"])
def test_a_store_comes_back_byte_by_byte(tmp_path, kind):
    source = write_store(tmp_path, "ntu60") / "ntu60"
    out = tmp_path / f"a.{kind}"
    convert.main([f"to-{kind}", str(source), str(out), "--protocol", "cross_view"])
    imported(out, tmp_path / "back" / "ntu60")
    for file in ("joints.npy", "samples.csv"):
        assert (source / file).read_bytes() == (tmp_path / "back" / "ntu60" / file).read_bytes()


@pytest.mark.parametrize("kind", ["npz", "pkl", "arrays"])
def test_what_a_store_is_comes_back_too(raw, tmp_path, kind):
    """Title and splits, of a data set whose names tell nothing."""
    foreign.ctrgcn_npz(raw, tmp_path / "PKUv2_XSub.npz", "cross_subject")
    first = imported(tmp_path / "PKUv2_XSub.npz", tmp_path / "mine")
    out = tmp_path / f"a.{kind}"
    convert.main([f"to-{kind}", str(tmp_path / "mine"), str(out)])
    back = imported(out, tmp_path / "back" / "mine")
    assert back.description == first.description and back.fingerprint == first.fingerprint
    assert back.joints.tobytes() == first.joints.tobytes()


def test_others_find_what_they_look_for(raw, tmp_path):
    foreign.ctrgcn_npz(raw, tmp_path / "NTU60_CS.npz", "cross_subject")
    names = names_file(raw, tmp_path / "n.txt")
    store = imported(tmp_path / "NTU60_CS.npz", tmp_path / "ntu60", "--names", names)
    convert.main(["to-npz", str(tmp_path / "ntu60"), str(tmp_path / "b.npz")])
    npz, rows = np.load(tmp_path / "b.npz", allow_pickle=False), store.split("cross_subject")[0]
    assert npz["x_train"].shape == (len(rows), 300, 150) and npz["x_train"].dtype == np.float32
    assert npz["y_train"].shape == (len(rows), 60) and npz["y_train"].dtype == np.float64
    assert (npz["y_train"].argmax(1) == store.label[rows]).all()
    clip = npz["x_train"][2].reshape(300, 2, 25, 3)
    frames = int((clip.sum((1, 2, 3)) != 0).sum())
    np.testing.assert_array_equal(clip[:frames], store.clip(rows[2]))
    convert.main(["to-pkl", str(tmp_path / "ntu60"), str(tmp_path / "b.pkl")])
    content = pickle.loads((tmp_path / "b.pkl").read_bytes())
    assert set(content["split"]) == {"xsub_train", "xsub_val", "xview_train", "xview_val"}
    for row, clip in enumerate(content["annotations"]):
        assert (clip["frame_dir"], clip["label"]) == (store.names[row], store.label[row])
        assert clip["total_frames"] == store.length[row] == clip["keypoint"].shape[1]
        bodies = store.clip(row).transpose(1, 0, 2, 3)
        assert len(clip["keypoint"]) == (2 if bodies[1].any() else 1)
        np.testing.assert_array_equal(clip["keypoint"], bodies[: len(clip["keypoint"])])


# ---- what is refused


def damaged(change):
    """A test's file whose arrays a function changes."""

    def write(raw: Path, path: Path) -> None:
        foreign.ctrgcn_npz(raw, path.with_name("whole.npz"), "cross_subject")
        content = dict(np.load(path.with_name("whole.npz")))
        change(content)
        np.savez(path, **content)
        path.with_name("whole.npz").unlink()

    return write


def flipped(raw: Path, path: Path) -> None:
    foreign.ctrgcn_npz(raw, path, "cross_subject")
    content = bytearray(path.read_bytes())
    content[300] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda raw, path: None, "missing"),
        (lambda raw, path: path.write_bytes(b"no zip"), "not a whole"),
        (lambda raw, path: os.mkfifo(path), "no file"),
        (flipped, "not a whole"),
        (damaged(lambda c: c.pop("y_test")), "no y_test"),
        (damaged(lambda c: c.update(x_train=c["x_train"][:, :, :75])), "not floats"),
        (damaged(lambda c: c.update(x_train=c["x_train"].astype(int))), "not floats"),
        (damaged(lambda c: c.update(x_train=np.array([None]))), "not"),
        (damaged(lambda c: c.update(x_train=np.asfortranarray(c["x_train"]))), "row by row"),
        (damaged(lambda c: c.update(y_train=c["y_train"][1:])), "not a row for each clip"),
        (damaged(lambda c: c.update(y_train=c["y_train"] * 2)), "not one-hot"),
        (damaged(lambda c: c.update(y_train=c["y_train"] * 0)), "not one-hot"),
        (damaged(lambda c: c["x_train"].__setitem__((1, 3, 5), np.nan)), "train_02 holds"),
        (damaged(lambda c: c["x_train"].__setitem__((1, 3, 5), 1e6)), "train_02 holds"),
        (damaged(lambda c: [c[x].fill(0) for x in ("x_train", "x_test")]), "no clip"),
        (damaged(lambda c: c.update({k: v[:0] for k, v in c.items()})), "no clip"),
    ],
)
def test_what_is_no_such_file_is_refused(raw, tmp_path, write, said):
    path = tmp_path / "NTU60_CS.npz"
    write(raw, path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match=said) as error:
        imported(path, tmp_path / "ntu60")
    assert "\n" not in str(error.value) and str(path) in str(error.value)
    assert sorted(tmp_path.iterdir()) == before


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """A file with some bytes flipped, taken out or put in, mostly where its structure is."""
    content = bytearray(content)
    for _ in range(rng.choice([1, 3, 10])):
        place = rng.choice([0, len(content) - 600, rng.integers(len(content))])
        place = int(place + rng.integers(500)) % len(content)
        kind, some = rng.integers(3), rng.integers(256, size=rng.choice([1, 4, 50])).astype("u1")
        if kind == 0:
            content[place] ^= 1 << int(rng.integers(8))
        else:
            content[place : place + len(some) * int(kind == 1)] = some.tobytes()
    return bytes(content)


@pytest.mark.parametrize("kind", ["npz", "pkl, protocol 2", "pkl, protocol 4"])
def test_damaged_files_are_taken_or_refused_in_one_line(raw, tmp_path, kind):
    name = "NTU60_CS.npz" if kind == "npz" else "a.pkl"
    if kind == "npz":
        foreign.ctrgcn_npz(raw, tmp_path / "NTU60_CS.npz", "cross_subject")
    else:
        foreign.pyskl_pkl(raw, tmp_path / name, {"xsub": "cross_subject"}, protocol=int(kind[-1]))
    whole, rng, refused = (tmp_path / name).read_bytes(), np.random.default_rng(0), 0
    for _ in range(60):
        (tmp_path / name).write_bytes(mutated(whole, rng))
        try:
            imported(tmp_path / name, tmp_path / "out")
            shutil.rmtree(tmp_path / "out")
        except UserError as error:
            assert "\n" not in str(error)
            refused += 1
        assert [path.name for path in tmp_path.iterdir()] == [name]
    assert refused > 20


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (lambda names: names[:-1], "9 names for|labels are others"),
        (lambda names: names[::-1], "labels are others"),
        (lambda names: [*names, "no name"], "line 11: no name"),
        (lambda names: [*names, names[0]], "line 11: .* occurs twice"),
        (lambda names: [], "0 names"),
        # Two clips of one action side by side: which of them was left out, the labels do not tell.
        (lambda names: sorted([*names, "S001C001P001R002A007"]), "do not tell"),
    ],
)
def test_names_that_do_not_follow_are_refused(raw, tmp_path, lines, said):
    foreign.ctrgcn_npz(raw, tmp_path / "NTU60_CS.npz", "cross_subject")
    names = sorted(path.stem for path in raw.glob("*.skeleton"))
    (tmp_path / "n.txt").write_text("\n".join(lines(names)))
    with pytest.raises(UserError, match=said) as error:
        imported(tmp_path / "NTU60_CS.npz", tmp_path / "ntu60", "--names", tmp_path / "n.txt")
    assert str(tmp_path / "n.txt") in str(error.value)
    assert not (tmp_path / "ntu60").exists()


def test_a_folder_named_for_another_data_set_and_an_unknown_split_are_refused(raw, tmp_path):
    foreign.ctrgcn_npz(raw, tmp_path / "mine.npz", "cross_subject")
    with pytest.raises(UserError, match="--protocol"):
        imported(tmp_path / "mine.npz", tmp_path / "ntu60")
    shutil.copy(tmp_path / "mine.npz", tmp_path / "NTU60_CS.npz")
    with pytest.raises(UserError, match="another data set"):
        imported(tmp_path / "NTU60_CS.npz", tmp_path / "ntu120")
    with pytest.raises(UserError, match="no protocol cross_setup; it has cross_subject and"):
        imported(tmp_path / "NTU60_CS.npz", tmp_path / "ntu60", "--protocol", "cross_setup")
    assert imported(tmp_path / "mine.npz", tmp_path / "a", "--protocol", "cross_view").protocols


def test_the_command_needs_no_torch(tmp_path):
    lines = "from tools import convert, cli; import sys; assert 'torch' not in sys.modules"
    assert os.system(f"{sys.executable} -c {lines!r}") == 0
