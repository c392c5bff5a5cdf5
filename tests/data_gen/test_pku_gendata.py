import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from common import UserError
from data_gen import pku_gendata
from data_gen.clip import prepare_clip
from data_gen.pku_gendata import read_actions, read_split, read_video
from data_gen.readers import recording
from feeder.store import open_store

NAMES = {
    "pkummd1": [f"{number:04d}-{view}" for number in (2, 3, 5, 8) for view in "LMR"],
    "pkummd2": [f"A01N{number:02d}-{view}" for number in (1, 2, 3, 4) for view in "LMR"],
}
SKELETON_FOLDERS = {"pkummd1": "PKU_Skeleton_Renew", "pkummd2": "Data/skeleton_v2"}
LABEL_FOLDERS = {"pkummd1": "Train_Label_PKU_final", "pkummd2": "Label/Label_PKUMMD_v2"}
LISTS = {
    "pkummd1": {"cross_subject": "cross-subject.txt", "cross_view": "cross-view.txt"},
    "pkummd2": {"cross_subject": "cross_subject_v2.txt", "cross_view": "cross_view_v2.txt"},
}
SPLITS = {
    "cross_subject": lambda name: name[-3] in "25" or name[-3] == "1",  # two or three of the four
    "cross_view": lambda name: name[-1] in "MR",
}
CLASSES = (1, 7, 51)


def random_video(name: str) -> tuple[np.ndarray, list[tuple]]:
    """Random bodies (T, 2, 25, 3); actions (class, first, last frame, confidence), each once."""
    rng = np.random.default_rng([0, *name.encode()])
    rest = rng.normal((0, 0, 3), 0.4, (2, 25, 3))
    gap = np.repeat(rest[None], 15, 0)
    frames, actions = [gap], []
    for action in rng.permutation(CLASSES).tolist():
        own = np.random.default_rng(action)
        length = int(rng.integers(30, 60))
        t = np.arange(length)[:, None, None, None]
        swing = own.normal(0, 0.3, (2, 25, 3)) * np.sin(own.uniform(0.2, 0.6) * t)
        clip = rest + swing + own.normal(0, 0.3, (2, 25, 3))
        clip[:, 1] *= action % 2
        first = sum(map(len, frames))
        actions.append((action, first, first + length - 1, 2))
        frames += [clip, gap]
    return np.concatenate(frames), actions


def write_video(folder: Path, name: str, bodies: np.ndarray, actions: list[tuple]) -> None:
    """Write a video and its labels. The name decides the phase, and so the folders."""
    dataset = "pkummd2" if name.startswith("A") else "pkummd1"
    skeletons, labels = folder / SKELETON_FOLDERS[dataset], folder / LABEL_FOLDERS[dataset]
    for place in (skeletons, labels):
        place.mkdir(parents=True, exist_ok=True)
    np.savetxt(skeletons / f"{name}.txt", bodies.reshape(len(bodies), -1), "%.6f")
    lines = "".join(",".join(map(str, action)) + "\n" for action in actions)
    (labels / f"{name}.txt").write_text(lines)


@pytest.fixture(scope="session")
def raw(tmp_path_factory):
    """For each phase twelve videos, four people (or recordings) in three views, and the lists."""
    folder = tmp_path_factory.mktemp("raw")
    for dataset, names in NAMES.items():
        for name in names:
            write_video(folder / dataset, name, *random_video(name))
        (folder / dataset / "Split").mkdir()
        for protocol, trains in SPLITS.items():
            train, test = (", ".join(n for n in names if trains(n) == part) for part in (1, 0))
            text = f"Training videos: \n{train}\n\nValidataion videos: \n{test}\n"
            (folder / dataset / "Split" / LISTS[dataset][protocol]).write_text(text)
    return folder


SKELETONS, LABELS = SKELETON_FOLDERS["pkummd1"], LABEL_FOLDERS["pkummd1"]


def prepare(dataset, data_path, out_folder, *flags):
    where = ["--data_path", str(data_path), "--out_folder", str(out_folder), "--workers", "1"]
    pku_gendata.main(["--dataset", dataset, *where, *flags])


@pytest.mark.parametrize("dataset", NAMES)
def test_every_action_becomes_a_clip(raw, tmp_path, capsys, dataset):
    prepare(dataset, raw / dataset, tmp_path)
    store = open_store(tmp_path, dataset)
    assert len(store.names) == 36 and store.num_classes == 51
    reading = recording.Reading.of_store(store.layout, store.preparation)

    for name in NAMES[dataset]:
        bodies, actions = random_video(name)
        rows = [i for i, clip in enumerate(store.names) if clip.startswith(name)]
        for row, (action, first, last, _) in zip(rows, actions, strict=True):
            expected = prepare_clip(bodies[first : last + 1], by_energy=False)
            np.testing.assert_allclose(store.clip(row), expected, atol=1e-5)
            assert store.action[row] == action
            again = recording.recording_of(name, bodies[first : last + 1], reading)
            np.testing.assert_allclose(recording.prepare(again, reading), expected, atol=1e-5)
        for protocol, trains in SPLITS.items():
            assert [row in store.split(protocol)[0] for row in rows] == [trains(name)] * 3
    fields = [getattr(store, c)[0] for c in ("setup", "subject", "camera", "replication")]
    assert fields == [1, {"pkummd1": 2, "pkummd2": 1}[dataset], 1, 1]
    said = capsys.readouterr().out
    assert f"{dataset}: 36 clips" in said and "left out" not in said


def test_an_action_past_the_end_of_its_video_is_cut_and_counted(own, tmp_path, capsys):
    bodies, actions = random_video("0005-R")
    action, first, last, _ = actions[-1]
    write_video(own, "0005-R", bodies[: last - 4], actions)
    prepare("pkummd1", own, tmp_path, "--strict")
    name = f"0005-RN003A{action:03d}"
    assert f"cut where the video ends: 1\n  {name}\n" in capsys.readouterr().out
    store = open_store(tmp_path, "pkummd1")
    assert len(store.names) == 36
    assert store.length[store.names.index(name)] == last - first + 1 - 5


@pytest.fixture
def own(raw, tmp_path):
    shutil.copytree(raw / "pkummd1", tmp_path / "raw")
    return tmp_path / "raw"


def edit(path, change):
    path.write_text(change(path.read_text()))


# The file of 0003-M that is damaged, how, and how many of its three actions are left.
@pytest.mark.parametrize(
    ("folder", "change", "left"),
    [
        (SKELETONS, lambda t: "", 0),
        (SKELETONS, lambda t: "nan" + t[8:], 0),
        (SKELETONS, lambda t: "\n".join(t.split("\n")[:40]), 1),
        (LABELS, lambda t: "52,1,5,2\n" + t, 3),
        (LABELS, lambda t: t + "1,9,5,2\n", 3),
    ],
)
def test_malformed_files_are_left_out_by_name(own, tmp_path, capsys, folder, change, left):
    edit(own / folder / "0003-M.txt", change)
    prepare("pkummd1", own, tmp_path)
    out = capsys.readouterr().out
    assert "malformed" in out and "\n  0003-M.txt" in out and "usecols" not in out
    assert len(open_store(tmp_path, "pkummd1").names) == 33 + left
    with pytest.raises(UserError, match=r"0003-M\.txt"):
        prepare("pkummd1", own, tmp_path / "strict", "--strict")
    assert not (tmp_path / "strict" / "pkummd1").exists()


def test_what_has_no_place_is_left_out_by_name(own, tmp_path, capsys):
    (own / LABELS / "0002-L.txt").unlink()
    (own / SKELETONS / "notes.txt").write_text("read me")
    (own / SKELETONS / "0099-L.txt").write_text("")
    (own / LABELS / "0099-L.txt").write_text("")
    (own / SKELETONS / "._0002-M.txt").write_text("of macOS")
    bodies, actions = random_video("0005-R")
    action, first, last, _ = actions[1]
    bodies[first : last + 1] = 0
    write_video(own, "0005-R", bodies, actions)
    prepare("pkummd1", own, tmp_path)
    said = capsys.readouterr().out
    for name in ("0002-L", "notes", "0099-L", f"0005-RN002A{action:03d}"):
        assert f": 1\n  {name}\n" in said
    assert "._" not in said


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda f: shutil.rmtree(f / "Split"), "cross_subject.txt"),
        (lambda f: shutil.rmtree(f / LABELS), "'label'"),
        (lambda f: shutil.copytree(f / SKELETONS, f / "b" / "skeleton"), f"{SKELETONS} and b/skel"),
        (lambda f: edit(f / "Split" / "cross-view.txt", lambda t: t + "x-L"), "'x-L'"),
        (lambda f: edit(f / "Split" / "cross-view.txt", lambda t: t + "0002-M"), "0002-M"),
    ],
)
def test_faults_of_the_whole_end_the_run(own, tmp_path, change, named):
    change(own)
    with pytest.raises(UserError, match=named):
        prepare("pkummd1", own, tmp_path / "out")
    assert not (tmp_path / "out").exists() or not os.listdir(tmp_path / "out")


def test_files_as_others_may_write_them(tmp_path):
    path, label = tmp_path / "2-L.txt", tmp_path / "label"
    label.mkdir()
    path.write_bytes(b"\r\n".join([b"  ".join([b"1e-1"] * 150)] * 22))
    assert (read_video(path) == 0.1).all() and read_video(path).shape == (22, 2, 25, 3)
    (label / "2-L.txt").write_bytes(b"3, 10 ,20,1.5\r\n\r\n51,0,1,2\r\n")
    actions = read_actions(path, label)
    assert [name for name, *_ in actions] == ["2-LN001A003", "2-LN003A051"]
    assert [len(clip) for _, _, clip, _ in actions] == [11, 2]
    for text in (
        b"\xef\xbb\xbftraining videos:\r\n2-L,3-R\r\nValidation videos: \r\n4-M, ",
        b"Training videos: 2-L\n3-R\nvalidation video : 4-M",
    ):
        path.write_bytes(text)
        assert read_split(path) == {"2-L": 1, "3-R": 1, "4-M": 0}
    path.write_bytes(b"\xff\xfe\x00")
    for read in (read_video, read_split):
        with pytest.raises(UserError, match=r"2-L\.txt"):
            read(path)
