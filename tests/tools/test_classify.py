"""Classifying recordings: the command from end to end, on 17 joints and on 25; its parts."""

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import action_classification
import action_retrieval
from feeder.store import open_store
from tests.golden_files import GOLDEN
from tests.runs import call, refusal, succeed
from tests.tiny_run import write_run
from tools import classify
from tools.drawing import figures
from tools.evaluation import linear_layers
from tools.evaluation.features import encode_clip
from tools.evaluation.recordings import spans

RAW = GOLDEN / "skeletons" / "S003C003P015R001A023.skeleton"


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_training_clip_finds_itself_and_has_the_layer_s_probabilities(
    people, recordings, tmp_path
):
    store, file = open_store(people / "data", "people"), recordings[0]
    row, out = store.names.index(file.stem), tmp_path / "deep" / "a.csv"
    assert str(out) in succeed(classify.main, people / "run", file, "--csv", out)
    trained = linear_layers.load(people / "run")
    feature = encode_clip(trained.loaded.encoder, np.array(store.clip(row)))
    layer = trained.classifier.layers[0]
    expected = torch.softmax(layer.weight @ feature + layer.bias, 0)
    (said,) = read_table(out)
    assert said["recording"] == str(file)
    assert (said["start_frame"], int(said["end_frame"])) == ("0", store.length[row])
    assert float(said["end_seconds"]) == pytest.approx(store.length[row] / 30, abs=1e-3)
    assert expected.sort().values.diff().min() > 1e-4  # so that rounding changes no order
    for i, k in enumerate(expected.argsort(descending=True).tolist(), 1):
        assert float(said[f"probability_{i}"]) == pytest.approx(expected[k].item(), abs=1e-5)
        assert said[f"class_{i}"] == store.class_names[k]
    assert said["clip_1"] == store.names[row]
    assert said["clip_class_1"] == store.class_names[store.label[row]]
    assert float(said["similarity_1"]) == pytest.approx(1, abs=1e-5)
    assert "clip_5" in said and "clip_6" not in said
    query = ("--checkpoint-path", people / "run", "--query", file)
    _, *nearest = succeed(action_retrieval.main, *query).splitlines()
    assert nearest[0].startswith(f"1.0000  {file.stem}  ")
    assert [line.split()[1] for line in nearest] == [said[f"clip_{i}"] for i in range(1, 6)]


def test_somebody_on_his_head_is_warned_of(people, recordings, tmp_path):
    turned = np.load(recordings[0]) * [1, -1, -1]
    np.save(tmp_path / "y_down.npy", turned)
    assert not call(classify.main, people / "run", recordings[0]).err
    done = call(classify.main, people / "run", tmp_path / "y_down.npy")
    assert done.code == 0 and "--axes" in done.err and "y_down.npy" in done.err
    assert (
        "--axes"
        not in call(classify.main, people / "run", tmp_path / "y_down.npy", "--axes", "y-down").err
    )


def test_a_folder_is_searched_and_what_is_bad_is_listed(people, recordings, tmp_path):
    folder, out, good = tmp_path / "recordings", tmp_path / "a.csv", np.load(recordings[0])
    (folder / "deep" / "er").mkdir(parents=True)
    np.save(folder / "a.npy", good)
    np.savetxt(folder / "deep" / "b.csv", good.reshape(len(good), -1), "%.9f", ",")
    np.save(folder / "deep" / "er" / "c.npy", good)
    shutil.copy(people / "raw" / "clips.csv", folder)  # a table beside the recordings
    (folder / "._a.npy").write_bytes(b"a file of macOS")
    done = call(classify.main, people / "run", folder, "--csv", out)
    assert done.code == 0 and not done.err, done.err
    rows = read_table(out)
    assert [Path(row["recording"]).name for row in rows] == ["a.npy", "b.csv", "c.npy"]
    assert {row["clip_1"] for row in rows} == {recordings[0].stem}

    np.save(tmp_path / "mm.npy", 1000 * good)
    flags = ("--unit", "mm", "--neighbors", 0, "--csv", tmp_path / "mm.csv")
    succeed(classify.main, people / "run", tmp_path / "mm.npy", *flags)
    rows += read_table(tmp_path / "mm.csv")
    found = [float(row["probability_1"]) for row in rows]
    assert found == pytest.approx([found[0]] * 4, abs=1e-4)

    np.save(folder / "deep" / "bad1.npy", np.zeros_like(good))  # nobody
    np.save(folder / "bad2.npy", good[:, :, :9])  # too few joints
    (folder / "bad3.npy").write_bytes(b"\x93NUMPY")
    flags = ("--neighbors", 0, "--csv", out, "--out", tmp_path / "a.svg")
    done = call(classify.main, people / "run", folder, *flags)
    assert done.code == 1 and (tmp_path / "a.svg").exists() and len(read_table(out)) == 3
    for name in ("bad1.npy", "bad2.npy", "bad3.npy"):
        assert name in done.err.splitlines()[-1] and done.err.count(name) >= 2


def test_a_window_is_the_recording_that_it_shows(people, day, tmp_path):
    out, part = tmp_path / "a.csv", tmp_path / "b.npy"
    flags = ("--window", "1.5s", "--stride", "0.5s", "--csv", out, "--fps", 20)
    printed = succeed(classify.main, people / "run", day, *flags)
    frames, said = np.load(day), read_table(out)
    assert [int(one["start_frame"]) for one in said[:3]] == [0, 10, 20]
    assert int(said[-1]["end_frame"]) == len(frames)
    assert printed.count("nobody") == sum(one["class_1"] == "" for one in said) > 3
    for one in (said[2], said[-1]):
        start, end = int(one["start_frame"]), int(one["end_frame"])
        assert end - start == 30 and float(one["start_seconds"]) == start / 20
        np.save(part, frames[start:end])
        succeed(classify.main, people / "run", part, "--csv", tmp_path / "b.csv")
        (again,) = read_table(tmp_path / "b.csv")
        for column in ("probability_1", "similarity_1"):
            assert float(again[column]) == pytest.approx(float(one[column]), abs=1e-4)


def test_a_window_without_shoulders_is_as_if_nobody_was_there(people, recordings, tmp_path):
    good = np.load(recordings[0])[:, :1]
    long = np.concatenate([good] * (1 + 300 // len(good)))[:300]
    long[90:150, :, 5:7] = 0  # the shoulders
    np.save(tmp_path / "long.npy", long)
    flags = ("--window", 30, "--stride", 30, "--neighbors", 0, "--csv", tmp_path / "a.csv")
    succeed(classify.main, people / "run", tmp_path / "long.npy", *flags)
    rows = read_table(tmp_path / "a.csv")
    assert [row["start_frame"] for row in rows if not row["class_1"]] == ["90", "120"]


def test_raw_files_of_ntu(run, tmp_path):
    flags = ("--checkpoint-path", run, "--modalities", "joint,motion", "--late-fusion")
    succeed(action_classification.main, *flags, "--epochs", 2, "--standardize", "--seed", 3)
    folder = tmp_path / "recordings"
    folder.mkdir()
    shutil.copy(RAW, folder / "my wave \x1b[31m.skeleton")
    (file,) = run.glob("*standardized*.pt")
    flags = ("--window", 20, "--out", tmp_path / "a.png")
    printed = succeed(classify.main, file, folder, RAW, *flags)
    assert "\x1b" not in printed and printed.count("frames 0 to 19") == 2
    assert re.search(r"\d\.\d{4}  S\d{3}C\d{3}P\d{3}R\d{3}A00[1-4]  \w+", printed)


def test_a_finetuned_run_needs_no_data_set_without_neighbors(people, recordings, tmp_path):
    run, recording = tmp_path / "run", recordings[0]
    shutil.copytree(people / "run", run, ignore=shutil.ignore_patterns("recognition*"))
    flags = ("--checkpoint-path", run, "--finetune", "--epochs", 2)
    succeed(action_classification.main, *flags)
    assert f"1.0000  {recording.stem} " in succeed(classify.main, run, recording)
    (file,) = run.glob("recognition*.pt")
    saved = torch.load(file, weights_only=True)
    saved["facts"]["data_root"] = str(tmp_path / "nowhere")
    torch.save(saved, file)
    assert "nowhere" in refusal(classify.main, run, recording)
    succeed(classify.main, run, recording, "--data-root", people / "data")
    flags = ("--neighbors", 0, "--csv", tmp_path / "a.csv")
    assert "similarity" not in succeed(classify.main, run, recording, *flags)
    assert not any("clip" in column for column in read_table(tmp_path / "a.csv")[0])


def test_a_recording_that_cannot_be_used_is_named_and_nothing_is_written(people, tmp_path):
    file, out = tmp_path / "a.npy", tmp_path / "out"
    np.save(file, np.zeros((9, 1, 17, 3)))
    flags = ("--csv", out / "a.csv", "--out", out / "a.png", "--neighbors", 0)
    ended = call(classify.main, people / "run", file, *flags)
    assert ended.code == 1 and "a.npy" in ended.err and not out.exists()


def test_what_does_not_fit_is_refused(people, day, data_root, tmp_path):
    run, bare = people / "run", write_run(tmp_path / "bare", data_root)
    (tmp_path / "empty").mkdir()
    moved = shutil.copytree(people / "data", tmp_path / "moved")  # another store of this name
    samples = moved / "people" / "samples.csv"
    samples.write_text(samples.read_text().replace("\nS0", "\nT0"))
    for flags, code, said in (
        ((bare, day), 1, f"action_classification.py --checkpoint-path {bare}"),
        ((run, RAW), 1, RAW.name),
        ((run, tmp_path / "empty"), 1, "empty"),
        ((run, day, "--window", "0"), 2, "--window"),
        ((run, day, "--window", "three"), 2, "--window"),
        ((run, day, "--stride", "5"), 2, "--window"),
        ((run, day, "--out", "a.gif"), 2, "--out"),
        ((run, day, "--csv", day), 1, "--csv"),
        ((run, day, "--data-root", data_root), 1, "people"),
        ((run, day, "--data-root", moved), 1, "--data-root"),
        ((run, day, "--data-root", data_root, "--neighbors", 0), 2, "--data-root"),
    ):
        ended = call(classify.main, *flags)
        assert ended.code == code and said in ended.err.splitlines()[-1], (flags, ended)
        assert day.is_file()


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((100, 100, 5), [(0, 100)]),
        ((30, 100), [(0, 30)]),
        ((100, 40), [(0, 40), (20, 40), (40, 40), (60, 40)]),
        ((101, 40, 30), [(0, 40), (30, 40), (60, 40), (61, 40)]),
        ((10, 2, 5), [(0, 2), (5, 2), (8, 2)]),
    ],
)
def test_windows_cover_the_recording_to_its_end(sizes, expected):
    assert spans(*sizes) == expected


def test_a_timeline_shows_when_which_class_was_probable(tmp_path):
    names = [f"class {k}" for k in range(7)] + [r"$\frac$"]  # no formula, so it stays as it is
    windows = []
    for i, k in enumerate([6, 6, None, 2, 2]):
        values = np.full(8, np.nan if k is None else 0.01, np.float32)
        if k is not None:
            values[k], values[4], values[7] = 0.9, 0.04, 0.03
        windows.append(classify.Window(10 * i, 20, values))
    axis = classify.timeline([("day", windows)], 10, names).axes[0]
    mesh = axis.collections[0]
    np.testing.assert_allclose(mesh.get_coordinates()[0, :, 0], [0, 1.5, 2.5, 3.5, 4.5, 6])
    assert mesh.get_array().mask.all(0).tolist() == [False, False, True, False, False]
    rows = [names.index(label.get_text()) for label in axis.get_yticklabels()]
    assert len(rows) == 5 and {2, 4, 6, 7} <= set(rows) and rows.index(6) < rows.index(2)
    assert "nobody" in axis.get_title(loc="left")
    figures.save(classify.timeline([("day", windows)], 10, names), tmp_path / "a.png", dpi=50)
    assert (tmp_path / "a.png").stat().st_size > 1000
