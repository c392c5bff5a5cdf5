"""Padded arrays of the published code: exact both ways; others are refused."""

import io
import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest

from data_gen.preparing.clip import prepare_clip
from data_gen.readers.skeleton_file import read_skeleton_file
from feeder.store import open_store
from tests import golden_files
from tests.literal import preprocess
from tests.tiny_store import write_store
from tests.tools.formats.foreign import Opens
from tools.cli import UserError
from tools.formats import padded_arrays


def test_stores_come_back_byte_by_byte(converted, tmp_path):
    source = write_store(tmp_path, "ntu60") / "ntu60"
    converted("to-arrays", source, tmp_path / "padded", "--protocol", "cross_view")
    converted("from-arrays", tmp_path / "padded", tmp_path / "back" / "ntu60")
    for file in ("joints.npy", "samples.csv"):
        assert (source / file).read_bytes() == (tmp_path / "back" / "ntu60" / file).read_bytes()
    store, (train, _) = (
        open_store(tmp_path, "ntu60"),
        open_store(tmp_path, "ntu60").split("cross_view"),
    )
    data = np.load(tmp_path / "padded" / "train_data_joint.npy", allow_pickle=False)
    assert data.shape == (len(train), 3, 300, 25, 2) and data.dtype == np.float32
    start, n = store.start[train[3]], store.length[train[3]]
    np.testing.assert_array_equal(data[3, :, :n].transpose(1, 3, 2, 0), store.joints[start:][:n])
    assert not data[3, :, n:].any()


def test_arrays_come_back_exactly(converted, tmp_path):
    converted("to-arrays", write_store(tmp_path) / "ntu60", tmp_path / "a")
    converted("from-arrays", tmp_path / "a", tmp_path / "ntu60_again" / "ntu60")
    converted("to-arrays", tmp_path / "ntu60_again" / "ntu60", tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "b").iterdir()) and len(names) == 8
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_published_arrays_become_the_store_that_raw_files_become(converted, tmp_path):
    raw = golden_files.GOLDEN / "skeletons"
    preprocess.write_protocol(raw, "cross_subject", tmp_path / "padded")
    converted("from-arrays", tmp_path / "padded", tmp_path / "data" / "ntu60")
    store = open_store(tmp_path / "data", "ntu60")
    assert store.names == sorted(path.stem for path in raw.glob("*.skeleton"))
    for name, start, frames in zip(store.names, store.start, store.length, strict=True):
        clip = prepare_clip(read_skeleton_file(raw / f"{name}.skeleton"))
        np.testing.assert_allclose(store.joints[start : start + frames], clip, atol=1e-5)


def test_clips_longer_than_usual_make_longer_arrays(converted, tmp_path):
    source = write_store(tmp_path, frames=(10, 333)) / "ntu60"
    converted("to-arrays", source, tmp_path / "padded")
    assert np.load(tmp_path / "padded" / "val_data_joint.npy").shape[2] == 333


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, a=np.zeros(3))
    return file.getvalue()


NPZ, KINDS = npz(), ("data_joint.npy", "num_frame.npy", "label.pkl")


@pytest.mark.parametrize(
    "content", [Opens, lambda _: np.arange(3), lambda _: {1}, lambda _: OrderedDict(a=[])]
)
def test_no_pickle_runs_anything(tmp_path, content):
    for labels in (content(str(tmp_path / "ran")), (["a"], [content(str(tmp_path / "ran"))])):
        (tmp_path / "l.pkl").write_bytes(pickle.dumps(labels, 4))
        (tmp_path / "ran").unlink(missing_ok=True)
        with pytest.raises(UserError, match=r"names and labels|list of names") as error:
            padded_arrays.read_labels(tmp_path / "l.pkl")
        assert not (tmp_path / "ran").exists() and "\n" not in str(error.value)


@pytest.mark.parametrize("protocol", range(5))
def test_plain_labels_are_read_whatever_wrote_them(tmp_path, protocol):
    for kind in (tuple, list):
        plain = kind([kind(["a", "b"]), kind([3, 0])])
        (tmp_path / "l.pkl").write_bytes(pickle.dumps(plain, protocol))
        assert padded_arrays.read_labels(tmp_path / "l.pkl") == (["a", "b"], [3, 0])


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("train_data_joint.npy", None, "is missing"),
        ("val_label.pkl", None, "is missing"),
        ("val_num_frame.npy", b"no array", "not a whole .npy file"),
        ("val_label.pkl", b"\x80\x04]", "does not hold names and labels"),
        ("val_label.pkl", pickle.dumps((["a"], [True])), "does not hold a list of names"),
        ("val_label.pkl", pickle.dumps((["a"], [1])), "24 clips, 24 frame counts, 1 names"),
        ("val_num_frame.npy", np.zeros(24, int), "not all from 1 to 300"),
        ("val_num_frame.npy", np.full(24, 301), "not all from 1 to 300"),
        ("train_data_joint.npy", np.zeros((24, 3, 300, 25)), "not floats"),
        ("train_data_joint.npy", np.array([None]), "not numbers"),
        ("train_data_joint.npy", np.full((24, 3, 300, 25, 2), np.nan), "no number up to 1000"),
        ("train_data_joint.npy", np.full((24, 3, 300, 25, 2), 1e39), "no number up to 1000"),
        ("train_data_joint.npy", np.full((24, 3, 300, 25, 2), -1001.0), "no number up to 1000"),
        ("train_data_joint.npy", NPZ, "not a whole .npy file"),
        ("val_num_frame.npy", NPZ, "not a whole .npy file"),
        *((f"train_{name}", os.mkfifo, "is no file") for name in KINDS),
        *((f"val_{name}", os.mkdir, "is no file") for name in KINDS),
        ("val_label.pkl", pickle.dumps((["S001C001P001R001A002"] * 24, [1] * 24)), "occurs twice"),
        (
            "val_label.pkl",
            pickle.dumps(([f"{i}" for i in range(24)], [1] * 24)),
            "not a name like S001",
        ),
        (
            "val_label.pkl",
            pickle.dumps(([f"S001C001P001R001A{i + 9:03}" for i in range(24)], [0] * 24)),
            "A009 has the label 0",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(converted, tmp_path, data_root, file, change, said):
    converted("to-arrays", data_root / "ntu60", tmp_path / "a")
    for own in ("store.json", "samples.csv"):  # as arrays of other code are
        (tmp_path / "a" / own).unlink()
    path = tmp_path / "a" / file
    path.unlink()
    if isinstance(change, bytes):
        path.write_bytes(change)
    elif callable(change):
        change(path)
    elif change is not None:
        np.save(path, change)
    with pytest.raises(UserError, match=said) as error:
        converted("from-arrays", tmp_path / "a", tmp_path / "ntu60")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "ntu60").exists()


def test_two_empty_halves_are_refused(converted, tmp_path):
    (tmp_path / "a").mkdir()
    for part in ("train", "val"):
        np.save(tmp_path / "a" / f"{part}_data_joint.npy", np.zeros((0, 3, 300, 25, 2), "f4"))
        np.save(tmp_path / "a" / f"{part}_num_frame.npy", np.zeros(0, int))
        (tmp_path / "a" / f"{part}_label.pkl").write_bytes(pickle.dumps(([], [])))
    with pytest.raises(UserError, match="no clip"):
        converted("from-arrays", tmp_path / "a", tmp_path / "ntu60")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
