"""Files of pyskl and mmaction2 become a store, or are refused; no pickle runs anything."""

import os
import pickle

import numpy as np
import pytest

from data_gen.preparing.clip import prepare_clip
from data_gen.readers.skeleton_file import read_skeleton_file
from tests.tools.formats import foreign
from tests.tools.formats.foreign import Opens
from tests.tools.formats.imports import assert_same, imported
from tools.cli import UserError


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
