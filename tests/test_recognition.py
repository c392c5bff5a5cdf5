"""action_classification.py from end to end."""

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import action_classification
from feeder.store import open_store
from tests.runs import call, succeed
from tests.tiny_run import features_of, write_run
from tests.tiny_store import write_store
from tools import results as table
from tools.formats import tables

SHORT = ("--epochs", "4", "--test-every", "2", "--schedule", "3")
OF_SHORT = "epochs4_schedule3_test-every2"


def recognize(folder, *flags):
    return succeed(action_classification.main, "--checkpoint-path", folder, *flags)


def result(folder, *flags):
    said = recognize(folder, *flags)
    path = max(folder.glob("recognition*.json"), key=lambda file: file.stat().st_mtime_ns)
    assert f"written to {path}" in said
    return json.loads(path.read_text()) | {"name": path.stem, "out": said}


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ([], "recognition_{}"),
        (["--pretrained", "random"], "recognition_{}_random"),
        (
            ["--modalities", "motion,joint", "--late-fusion"],
            "recognition_joint-motion_late_fusion_{}",
        ),
        (["--finetune", "--late-fusion"], "recognition_late_fusion_finetune_{}"),
        (["--finetune", "--label-fraction", "0.1"], "recognition_finetune_10pct_{}"),
        (["--finetune-dataset", "ntu120"], "recognition_{}_ntu120_cross_subject"),
    ],
)
def test_every_mode_has_a_result_of_its_own(run, flags, name):
    found = result(run, *flags, *SHORT)
    assert found["name"] == name.format(OF_SHORT)
    assert f"{found['title']} {found['protocol']}: top-1 {found['top1']:.2f}" in found["out"]
    assert found["encoder"] == ("random" if "random" in flags else "pretrained")
    assert found["late_fusion"] == ("--late-fusion" in flags)
    assert found["finetune"] == ("--finetune" in flags)
    assert [test["epoch"] for test in found["tests"]] == [2, 4]
    assert found["top1"] == found["tests"][-1]["top1"]
    assert found["best_top1"] == max(test["top1"] for test in found["tests"])
    assert 0 <= found["top1"] <= 100 and 0 <= found["mean_class_accuracy"] <= 100
    assert found["top5"] is None and "top-5" not in found["out"]  # of four classes
    assert list((run / found["name"] / "seed0").glob("events.*"))
    assert (run / f"{found['name']}.pt").is_file() == ("random" not in flags)  # linear layers


def test_runs_are_those_of_consecutive_seeds(run):
    flags = ("--labels-per-class", "1", *SHORT)
    together = result(run, *flags, "--seed", "5", "--runs", "3")
    alone = [result(run, *flags, "--seed", seed) for seed in (5, 6, 7)]
    assert [r["seed"] for r in together["runs"]] == [5, 6, 7]
    assert [r["labelled_clips"] for r in together["runs"]] == [4, 4, 4]
    assert [r["tests"] for r in together["runs"]] == [r["runs"][0]["tests"] for r in alone]
    tops = [r["top1"] for r in alone]
    assert together["top1"] == pytest.approx(np.mean(tops))
    assert together["top1_std"] == pytest.approx(np.std(tops, ddof=1))
    assert alone[0]["top1_std"] is None
    recognize(run, *flags, "--seed", "7")  # once more
    events = list((run / alone[2]["name"]).rglob("events.*"))
    assert len(events) == 2  # its curve, and its confusion matrix
    assert len(list(run.glob("recognition*.json"))) == 4


def test_linear_evaluation_learns_what_logistic_regression_does(run, data_root):
    store = open_store(data_root, "ntu60")
    x, (train, test) = features_of(run, store).numpy(), store.split("cross_subject")
    exact = LogisticRegression(C=1e4, max_iter=5000).fit(x[train], store.label[train])
    flags = ("--epochs", "400", "--schedule", "--test-every", "100", "--lr", "0.3")
    found = result(run, *flags)["top1"]
    assert found == pytest.approx(100 * exact.score(x[test], store.label[test]), abs=100 / 24)
    assert found > 75


def test_features_are_saved_as_plain_arrays(run, data_root, tmp_path):
    file = tmp_path / "deep" / "features.npz"
    flags = ("--modalities", "joint,bone", "--late-fusion")
    recognize(run, *SHORT, "--save-features", file, *flags)
    store = open_store(data_root, "ntu60")
    rows = np.concatenate(store.split("cross_subject"))
    with np.load(file, allow_pickle=False) as saved:
        for i, name in enumerate(("joint", "bone")):
            one = saved["features"][:, 32 * i : 32 * (i + 1)]
            np.testing.assert_allclose(one, features_of(run, store, (name,))[rows], atol=1e-5)
        np.testing.assert_array_equal(saved["labels"], store.label[rows])
        assert saved["names"].tolist() == [store.names[row] for row in rows]
        assert saved["training"].tolist() == 24 * [True] + 24 * [False]


def test_full_augmentation_has_the_strengths_of_the_pretraining(data_root, tmp_path):
    still = {"spatial_probability": 0.0, "shortest_crop": 1.0}
    found = {}
    for name, more in {"default": None, "still": still}.items():
        folder = write_run(tmp_path / name, data_root, more=more)
        for views in ("none", "full"):
            flags = ("--finetune", "--augment", views, "--epochs", 1)
            found[name, views] = result(folder, *flags)["tests"]
    assert found["still", "full"] == found["still", "none"] == found["default", "none"]
    assert found["default", "full"] != found["default", "none"]


@pytest.mark.parametrize(
    ("code", "flags", "named"),
    [
        (2, ["--modalities", "joint,joint"], "--modalities"),
        (2, ["--label-fraction", "0"], "--label-fraction"),
        (2, ["--label-fraction", "0.1", "--labels-per-class", "1"], "--labels-per-class"),
        (2, ["--augment", "full"], "--augment"),
        (2, ["--encoder-lr", "0.1"], "--encoder-lr"),
        (2, ["--finetune", "--save-features", "x.npz"], "--save-features"),
        (2, ["--tune", "--lr", "1"], "--lr"),
        (2, ["--splits", "cross_view", "cross_subject", "--protocol", "cross_view"], "--splits"),
        (2, ["--epochs", "0"], "--epochs"),
        (2, ["--classes", "9-3"], "--classes"),
        (2, ["--observe", "1.5"], "--observe"),
        (2, ["--drop-frames", "1"], "--drop-frames"),
        (1, ["--wd", "1e30"], "--wd"),
        (1, ["--finetune", "--encoder-lr", "1e30"], "--encoder-lr"),
        (1, ["--late-fusion", "--modalities", "bone"], "--late-fusion"),
        (1, ["--classes", "50-60"], "--classes"),
        (1, ["--classes", "2,61"], "--classes 61"),
    ],
)
def test_flags_that_do_not_go_are_refused(run, code, flags, named):
    ended = call(action_classification.main, "--checkpoint-path", run, *SHORT, *flags)
    assert ended.code == code and named in ended.err.splitlines()[-1]
    assert code == 2 or ended.err.count("\n") == 1
    assert not list(run.glob("recognition*"))


def test_standardized_features_are_judged_beside_those_as_published(run):
    found = result(run, "--standardize", *SHORT)
    plain = json.loads((run / f"recognition_{OF_SHORT}.json").read_text())
    assert found["name"] == f"recognition_standardized_{OF_SHORT}"
    assert (plain["standardize"], found["standardize"]) == (False, True)
    assert result(run, *SHORT)["tests"] == plain["tests"] != found["tests"]
    assert (run / f"{found['name']}_scale.npz").is_file()


def test_the_learning_rate_is_tuned_if_asked_for(run):
    found = result(run, "--tune", *SHORT)
    assert found["name"] == f"recognition_tuned_{OF_SHORT}"
    assert result(run, "--lr", found["tuned"]["lr"], *SHORT)["tests"] == found["tests"]


def test_six_classes_have_a_top_5_and_unequal_classes_a_mean(tmp_path):
    root = write_store(tmp_path / "data", clips=60, classes=6)
    folder = write_run(tmp_path / "run", root)
    found = result(folder, "--runs", 2, *SHORT)
    assert found["top1"] <= found["top5"] <= 100 and "top-5" in found["out"]
    _, rows = tables.read_csv(folder / f"{found['name']}_classes.csv")
    mean = np.mean([float(row[2]) for row in rows])
    assert found["mean_class_accuracy"] == pytest.approx(mean, abs=0.01)
    some = result(folder, "--classes", "2-3,5", *SHORT)
    assert some["name"] == f"recognition_classes-2-3,5_{OF_SHORT}" and some["top5"] is None
    assert some["training_clips"] < found["training_clips"]


def test_cross_validation_has_a_result_for_each_split_and_one_row(run):
    splits, found = ("cross_subject", "cross_view"), []
    said = recognize(run, "--splits", *splits, *SHORT)
    for split, end in zip(splits, ("", "_ntu60_cross_view"), strict=True):
        path = run / f"recognition_2splits-{'-'.join(splits)}_{OF_SHORT}{end}.json"
        found.append(json.loads(path.read_text()))
        assert (found[-1]["protocol"], found[-1]["splits"]) == (split, list(splits))
        assert result(run, "--protocol", split, *SHORT)["tests"] == found[-1]["tests"]
    tops = [one["top1"] for one in found]
    mean = f"{np.mean(tops):.2f} ± {np.std(tops, ddof=1):.2f} %"
    assert f"mean of 2 splits: top-1 {mean}" in said
    rows = [line for line in succeed(table.main, run).splitlines() if "2splits" in line]
    assert len(rows) == 1 and f"{np.mean(tops):.1f} ± {np.std(tops, ddof=1):.1f}" in rows[0]


@pytest.mark.parametrize("mode", [["--finetune"], ["--late-fusion", "--runs", "2"]])
def test_curves_over_less_than_whole_clips(run, mode):
    flags = ("--observe", "0.1", "1", "--drop-joints", "0", "25", "--drop-frames")
    found = result(run, *mode, *SHORT, *flags)
    tops = [one["tests"][-1]["top1"] for one in found["runs"]]
    kinds = (("observe0.1-1", "1.0", 2), ("drop-joints0-25", "0", 2), ("drop_frames", "0.0", 6))
    for name, whole, rows in kinds:
        file = run / f"{found['name']}_{name}.csv"
        _, lines = tables.read_csv(file)
        (values,) = ([float(v) for v in line[1:]] for line in lines if line[0] == whole)
        assert len(lines) == rows and values == pytest.approx(tops, abs=0.006)
        assert file.with_suffix(".png").stat().st_size > 1000
        assert str(file.with_suffix(".png")) in found["out"]
    _, lines = tables.read_csv(run / f"{found['name']}_drop-joints0-25.csv")
    assert len(set(lines[1][1:])) == 1  # without joints all clips are the same
