"""Classifying recordings: the command from end to end, on 17 joints and on 25; its parts."""

import csv
import os
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
from tests.runs import call
from tests.tiny_run import write_run
from tests.tools.own_recordings import training_file, training_rows, write_day, write_people
from tools import classify
from tools.drawing import timeline
from tools.evaluation import linear_layers
from tools.evaluation.features import encode_clip
from tools.evaluation.recordings import Window, spans

RAW = GOLDEN / "skeletons" / "S003C003P015R001A023.skeleton"


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    return write_people(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def day(people, tmp_path_factory) -> Path:
    return write_day(people, tmp_path_factory.mktemp("day") / "day.npy")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# ---- what is said


def test_a_training_clip_finds_itself_and_has_the_layer_s_probabilities(people, tmp_path):
    store = open_store(people / "data", "people")
    row, out = training_rows(people)[0], tmp_path / "deep" / "a.csv"
    file = people / "raw" / f"{store.names[row]}.npy"
    done = call(classify.main, people / "run", file, "--csv", out)
    assert done.code == 0 and str(out) in done.out, done.err
    trained = linear_layers.load(people / "run")
    feature = encode_clip(trained.loaded.encoder, np.array(store.clip(row)))
    layer = trained.classifier.layers[0]
    expected = torch.softmax(layer.weight @ feature + layer.bias, 0)
    (said,) = table(out)
    assert said["recording"] == str(file)
    assert (said["start_frame"], int(said["end_frame"])) == ("0", store.length[row])
    assert float(said["end_seconds"]) == pytest.approx(store.length[row] / 30, abs=1e-3)
    order = expected.argsort(descending=True).tolist()
    assert len(order) == 3 and "class_4" not in said
    shown = [float(percent) for percent in re.findall(r"([\d.]+) %", done.out)]
    for i, k in enumerate(order, 1):
        assert float(said[f"probability_{i}"]) == pytest.approx(expected[k].item(), abs=1e-5)
        assert shown[i - 1] == pytest.approx(100 * expected[k].item(), abs=0.02)  # two decimals
    gaps = expected.sort().values.diff()
    assert gaps.min() > 1e-4  # so that rounding changes no order
    assert [said[f"class_{i}"] for i in (1, 2, 3)] == [store.class_names[k] for k in order]
    assert said["clip_1"] == store.names[row]
    assert said["clip_class_1"] == store.class_names[store.label[row]]
    assert float(said["similarity_1"]) == pytest.approx(1, abs=1e-5)
    assert float(said["similarity_2"]) < 1 - 1e-5
    assert "clip_5" in said and "clip_6" not in said
    assert re.search(rf"1\.0000  {re.escape(said['clip_1'])}  ", done.out)


def test_all_forms_of_a_recording_are_said_the_same(people, tmp_path):
    """The same bodies as .npy in metres, as .csv in millimetres, and from a folder of them."""
    file = training_file(people)
    bodies = np.load(file)
    for unit, scale in (("m", 1), ("mm", 1000)):
        (tmp_path / unit).mkdir()
        np.save(tmp_path / unit / "a.npy", bodies * scale)
        np.savetxt(
            tmp_path / unit / "b.csv", (bodies * scale).reshape(len(bodies), -1), "%.9f", ","
        )
        (tmp_path / unit / "notes.txt").write_text("not a recording")
    found = []
    for unit in ("m", "mm"):
        out = tmp_path / f"{unit}.csv"
        done = call(classify.main, people / "run", tmp_path / unit, "--unit", unit, "--csv", out)
        assert done.code == 0, done.err
        found += table(out)
    assert [Path(said["recording"]).name for said in found] == ["a.npy", "b.csv"] * 2
    for said in found[1:]:
        assert said["clip_1"] == found[0]["clip_1"] == file.stem
        assert said["class_1"] == found[0]["class_1"]
        one, other = (float(each["probability_1"]) for each in (said, found[0]))
        assert one == pytest.approx(other, abs=1e-4)


def test_a_window_is_the_recording_that_it_shows(people, day, tmp_path):
    """Each is prepared on its own: what is before and behind it changes nothing."""
    out, part = tmp_path / "day.csv", tmp_path / "part.npy"
    flags = ("--window", "1.5s", "--stride", "0.5s", "--csv", out, "--fps", 20)
    done = call(classify.main, people / "run", day, *flags)
    assert done.code == 0, done.err
    frames = np.load(day)
    said = table(out)
    assert [int(one["start_frame"]) for one in said[:3]] == [0, 10, 20]
    assert int(said[-1]["end_frame"]) == len(frames)
    assert done.out.count("nobody") == sum(one["class_1"] == "" for one in said) > 3
    for one in (said[2], said[-1]):
        start, end = int(one["start_frame"]), int(one["end_frame"])
        assert end - start == 30 and float(one["start_seconds"]) == start / 20
        np.save(part, frames[start:end])
        alone = tmp_path / "part.csv"
        assert call(classify.main, people / "run", part, "--csv", alone).code == 0
        (again,) = table(alone)
        for column in ("probability_1", "similarity_1"):
            assert float(again[column]) == pytest.approx(float(one[column]), abs=1e-4)


def test_raw_files_of_ntu(data_root, tmp_path):
    run = write_run(tmp_path / "run", data_root)
    flags = ("--checkpoint-path", run, "--modalities", "joint,motion", "--late-fusion")
    flags = (*flags, "--epochs", 2, "--standardize", "--seed", 3)
    assert call(action_classification.main, *flags).code == 0
    folder = tmp_path / "recordings"
    folder.mkdir()
    shutil.copy(RAW, folder / "my wave \x1b[31m.skeleton")
    (file,) = run.glob("*standardized*.pt")
    done = call(classify.main, file, folder, RAW, "--window", 20, "--out", tmp_path / "a.png")
    assert done.code == 0, done.err
    assert "\x1b" not in done.out and done.out.count("frames 0 to 19") == 2
    assert re.search(r"\d\.\d{4}  S\d{3}C\d{3}P\d{3}R\d{3}A00[1-4]  \w+", done.out)


def test_a_finetuned_run(people, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(people / "run", run, ignore=shutil.ignore_patterns("recognition*"))
    flags = ("--checkpoint-path", run, "--finetune", "--epochs", 2)
    assert call(action_classification.main, *flags).code == 0
    file = training_file(people)
    done = call(classify.main, run, file)
    assert done.code == 0 and f"1.0000  {file.stem} " in done.out, done.err


def test_without_neighbors_no_data_set_is_needed(people, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(people / "run", run)
    (file,) = run.glob("recognition*.pt")
    saved = torch.load(file, weights_only=True)
    saved["facts"]["data_root"] = str(tmp_path / "nowhere")
    torch.save(saved, file)
    recording = training_file(people)
    ended = call(classify.main, run, recording)
    assert ended.code == 1 and "nowhere" in ended.err and ended.err.count("\n") == 1
    assert call(classify.main, run, recording, "--data-root", people / "data").code == 0
    done = call(classify.main, run, recording, "--neighbors", 0, "--csv", tmp_path / "a.csv")
    assert done.code == 0 and "similarity" not in done.out, done.err
    assert not any("clip" in column for column in table(tmp_path / "a.csv")[0])


# ---- folders


def test_a_folder_is_searched_and_what_is_bad_is_listed(people, tmp_path):
    """The table beside the recordings is none; the others are classified, the exit code is 1."""
    folder, out = tmp_path / "recordings", tmp_path / "a.csv"
    (folder / "deep" / "er").mkdir(parents=True)
    good = np.load(training_file(people))
    for name in ("a.npy", "deep/b.npy", "deep/er/c.npy"):
        np.save(folder / name, good)
    shutil.copy(people / "raw" / "clips.csv", folder)
    (folder / "._a.npy").write_bytes(b"a file of macOS")
    flags = (people / "run", folder, "--neighbors", 0, "--csv", out)
    done = call(classify.main, *flags)
    assert done.code == 0 and not done.err, done.err
    assert len(table(out)) == 3
    np.save(folder / "deep" / "bad1.npy", np.zeros_like(good))  # nobody
    np.save(folder / "bad2.npy", good[:, :, :9])  # too few joints
    (folder / "bad3.npy").write_bytes(b"\x93NUMPY")
    done = call(classify.main, *flags, "--out", tmp_path / "a.svg")
    assert done.code == 1 and (tmp_path / "a.svg").exists()
    last = done.err.splitlines()[-1]
    for name in ("bad1.npy", "bad2.npy", "bad3.npy"):
        assert name in last and done.err.count(name) >= 2
    assert [Path(one["recording"]).name for one in table(out)] == ["a.npy", "b.npy", "c.npy"]


def test_a_query_finds_what_classify_finds(people, tmp_path):
    file = training_file(people)
    done = call(action_retrieval.main, "--checkpoint-path", people / "run", "--query", file)
    assert done.code == 0 and done.out.splitlines()[1].startswith(f"1.0000  {file.stem}  ")
    said = call(classify.main, people / "run", file).out
    for line in done.out.splitlines()[1:4]:
        assert line.split()[1] in said


def test_a_long_recording_is_taken_in_windows(people, tmp_path):
    """Windows of which one lacks the shoulders: it is as if nobody was there."""
    good = np.load(training_file(people))[:, :1]
    long = np.concatenate([good] * (1 + 6000 // len(good)))[:6000]
    long[3000:3090, :, 5:7] = 0  # the shoulders
    np.save(tmp_path / "long.npy", long)
    flags = ("--window", 90, "--stride", 90, "--neighbors", 0, "--csv", tmp_path / "a.csv")
    done = call(classify.main, people / "run", tmp_path / "long.npy", *flags)
    assert done.code == 0, done.err
    rows = table(tmp_path / "a.csv")
    assert rows[0]["class_1"] and rows[-1]["end_frame"] == "6000"
    assert [row["start_frame"] for row in rows if not row["class_1"]] in ([], ["3000"])


# ---- refused


def array(shape: tuple[int, ...], value: float = 1.0) -> np.ndarray:
    return np.full(shape, value)


@pytest.mark.parametrize(
    "content",
    [
        array((9, 1, 25, 3)),
        array((9, 1, 17, 3), np.nan),
        array((9, 1, 17, 3), 1500),
        array((0, 1, 17, 3)),
        array((9, 1, 17, 3), 0),
        b"\x93NUMPY",
        None,
    ],
)
def test_a_recording_that_cannot_be_used_is_named_and_nothing_is_written(people, tmp_path, content):
    file, out = tmp_path / "a.npy", tmp_path / "out"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        np.save(file, content)
    flags = ("--csv", out / "a.csv", "--out", out / "a.png", "--neighbors", 0)
    ended = call(classify.main, people / "run", file, *flags)
    assert ended.code == 1 and "a.npy" in ended.err
    assert not out.exists()


def test_a_pickle_in_an_array_runs_nothing(people, tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    np.save(tmp_path / "a.npy", np.array([Hostile()]), allow_pickle=True)
    ended = call(classify.main, people / "run", tmp_path / "a.npy", "--neighbors", 0)
    assert ended.code == 1 and "a.npy" in ended.err and not (tmp_path / "ran").exists()


def test_what_does_not_fit_is_refused(people, data_root, day, tmp_path):
    run = people / "run"
    bare = write_run(tmp_path / "bare", data_root)
    (tmp_path / "empty").mkdir()
    for flags, code, said in (
        ((bare, day), 1, f"action_classification.py --checkpoint-path {bare}"),
        ((run, RAW), 1, RAW.name),
        ((run, tmp_path / "empty"), 1, "empty"),
        ((run, tmp_path / "a.txt"), 1, "a.txt"),
        ((run, day, "--window", "0"), 2, "--window"),
        ((run, day, "--window", "three"), 2, "--window"),
        ((run, day, "--stride", "5"), 2, "--window"),
        ((run, day, "--out", "a.gif"), 2, "--out"),
        ((run, *[day] * 21, "--out", tmp_path / "a.png"), 1, "--out"),
        ((run, day, "--csv", day), 1, "--csv"),
        ((run, day, "--data-root", data_root), 1, "people"),
        ((run, day, "--data-root", data_root, "--neighbors", 0), 2, "--data-root"),
    ):
        ended = call(classify.main, *flags)
        assert ended.code == code and said in ended.err.splitlines()[-1], (flags, ended)
        assert day.is_file()


def test_a_store_that_has_changed_gives_no_neighbors(people, tmp_path):
    shutil.copytree(people / "data", tmp_path / "data")
    samples = tmp_path / "data" / "people" / "samples.csv"
    samples.write_text(samples.read_text().replace("\nS0", "\nT0"))
    recording = training_file(people)
    ended = call(classify.main, people / "run", recording, "--data-root", tmp_path / "data")
    assert ended.code == 1 and "--data-root" in ended.err and ended.err.count("\n") == 1


# ---- parts


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((100,), [(0, 100)]),
        ((100, 100, 5), [(0, 100)]),
        ((30, 100), [(0, 30)]),
        ((100, 40), [(0, 40), (20, 40), (40, 40), (60, 40)]),
        ((101, 40, 30), [(0, 40), (30, 40), (60, 40), (61, 40)]),
        ((5, 1), [(k, 1) for k in range(5)]),
        ((10, 2, 5), [(0, 2), (5, 2), (8, 2)]),
        ((0, 7), [(0, 0)]),
    ],
)
def test_windows_cover_the_recording_to_its_end(sizes, expected):
    assert spans(*sizes) == expected


def test_a_timeline_shows_when_which_class_was_probable(tmp_path):
    names = [f"class {k}" for k in range(7)] + [r"$\frac$"]  # no formula, so it stays as it is
    peaks = [6, 6, None, 2, 2]
    windows = []
    for i, k in enumerate(peaks):
        values = np.full(8, 0.01, np.float32)
        if k is not None:
            values[k], values[4], values[7] = 0.9, 0.04, 0.03
        windows.append(Window(10 * i, 20, None if k is None else values))
    (track,) = timeline.tracks([("day", windows)], fps=10)
    np.testing.assert_allclose(track.edges, [0, 1.5, 2.5, 3.5, 4.5, 6])
    assert np.isnan(track.probabilities).all(1).tolist() == [False, False, True, False, False]
    rows = timeline.shown(track.probabilities)
    assert len(rows) == 5 and {2, 4, 6, 7} <= set(rows) and rows.index(6) < rows.index(2)
    figure = timeline.picture([track], names)
    axis = figure.axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == [names[k] for k in rows]
    assert "nobody" in axis.get_title(loc="left")
    timeline.write(tmp_path / "a.png", [track], names)
    assert (tmp_path / "a.png").stat().st_size > 1000
