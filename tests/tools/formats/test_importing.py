"""Files of other code become a store and come back; damaged files are refused."""

import os
import pickle
import shutil
import sys

import numpy as np
import pytest

from tests.tiny_store import write_store
from tests.tools.formats import foreign
from tests.tools.formats.imports import assert_same, imported, names_file
from tools import convert
from tools.cli import UserError

# ---- arrays


def test_camera_arrays_are_the_store_of_the_raw_files(raw, expected, tmp_path):
    foreign.stgcn_arrays(raw, tmp_path / "NTU" / "xsub", "cross_subject")
    np.save(tmp_path / "NTU" / "xsub" / "train_position.npy", np.zeros(3))  # made from them
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
    """Title and splits come back too, although the names of the clips do not contain them."""
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


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """A file with some bytes changed, removed or inserted, mostly near its beginning or end."""
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
