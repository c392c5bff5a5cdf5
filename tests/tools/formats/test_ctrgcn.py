"""Files of CTR-GCN and MAMP become the store that the raw recordings become, or are refused."""

import os
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.tools.formats import foreign
from tests.tools.formats.imports import assert_same, imported, names_file
from tools.cli import UserError


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
    """The file has 230 MB; less than 60 MB of memory are used."""
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


def damaged(change):
    """A function that writes a file whose arrays `change` has changed."""

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
        (lambda raw, path: path.write_bytes(b"no zip"), "not a whole .npz"),
        (lambda raw, path: os.mkfifo(path), "no file"),
        (flipped, "not a whole .npz"),
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
