"""action_classification.py from end to end."""

import json
import shutil

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import action_classification
from feeder.datasets.ntu import ACTION_NAMES, TRAIN_SUBJECTS
from feeder.store import open_store
from tests.runs import call
from tests.tiny_run import write_run
from tests.tiny_store import write_store
from tools import results as table
from tools.evaluation import encoders
from tools.evaluation.features import encode_clip
from tools.formats import tables

SHORT = ("--epochs", "4", "--test-every", "2", "--schedule", "3")
OF_SHORT = "epochs4_schedule3_test-every2"


def recognize(folder, *flags):
    """Call the command: exit code, output, errors."""
    return call(action_classification.main, "--checkpoint-path", folder, *flags)


def results(folder, name):
    """The result with this name, or the only result whose name begins with it."""
    path = folder / f"{name}.json"
    if not path.exists():
        (path,) = folder.glob(f"{name}*.json")
    return json.loads(path.read_text())


def features_of(folder, data_root, names=("joint", "bone", "motion")):
    """Features of the training and test clips of ntu60 cross_subject, one clip at a time."""
    encoder, store = encoders.load_encoder(folder), open_store(data_root, "ntu60")
    clips = [store.joints[a : a + n] for a, n in zip(store.start, store.length, strict=True)]
    features = torch.stack([encode_clip(encoder, clip, names) for clip in clips])
    train, test = store.split("cross_subject")
    return features[train], features[test], store.label[train], store.label[test]


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ([], "recognition_{}"),
        (["--pretrained", "random"], "recognition_{}_random"),
        (["--modalities", "joint"], "recognition_joint_{}"),
        (
            ["--modalities", "motion,joint", "--late-fusion"],
            "recognition_joint-motion_late_fusion_{}",
        ),
        (["--finetune"], "recognition_finetune_{}"),
        (
            ["--finetune", "--late-fusion", "--augment", "full"],
            "recognition_late_fusion_finetune_{}_augment-full",
        ),
        (["--finetune", "--label-fraction", "0.1"], "recognition_finetune_10pct_{}"),
        (["--label-fraction", "0.005"], "recognition_0.5pct_{}"),
        (["--labels-per-class", "2", "--modalities", "bone"], "recognition_bone_2perclass_{}"),
        (["--protocol", "cross_view"], "recognition_{}_ntu60_cross_view"),
        (["--finetune-dataset", "ntu120"], "recognition_{}_ntu120_cross_subject"),
    ],
)
def test_every_mode_says_what_it_is_and_where_it_wrote(run, flags, name):
    name = name.format(OF_SHORT)
    said = recognize(run, *flags, *SHORT).out
    assert f"written to {run / name}.json" in said
    found = results(run, name)
    assert f"{found['title']} {found['protocol']}: top-1 {found['top1']:.2f}" in said
    assert found["encoder"] == ("random" if "random" in flags else "pretrained")
    assert (found["late_fusion"], found["finetune"]) == (
        "--late-fusion" in flags,
        "--finetune" in flags,
    )
    assert [test["epoch"] for test in found["tests"]] == [2, 4]
    assert found["top1"] == found["tests"][-1]["top1"]
    assert found["best_top1"] == max(test["top1"] for test in found["tests"])
    assert 0 <= found["top1"] <= 100 and 0 <= found["mean_class_accuracy"] <= 100
    assert found["top5"] is None and "top-5" not in said  # of four classes
    assert list((run / name / "seed0").glob("events.*"))


def test_runs_are_those_of_consecutive_seeds(run):
    flags = ("--labels-per-class", "1", *SHORT)
    recognize(run, *flags, "--seed", "5", "--runs", "3")
    name = f"recognition_1perclass_{OF_SHORT}_seed"
    together = results(run, f"{name}5_runs3")
    for seed in (5, 6, 7):
        recognize(run, *flags, "--seed", seed)
    alone = [results(run, f"{name}{seed}") for seed in (5, 6, 7)]
    assert [r["seed"] for r in together["runs"]] == [5, 6, 7]
    assert [r["labelled_clips"] for r in together["runs"]] == [4, 4, 4]
    tops = [r["top1"] for r in alone]
    assert [r["tests"] for r in together["runs"]] == [r["runs"][0]["tests"] for r in alone]
    assert together["top1"] == pytest.approx(np.mean(tops))
    assert together["top1_std"] == pytest.approx(np.std(tops, ddof=1))
    assert alone[0]["top1_std"] is None


def test_the_same_evaluation_again_replaces_its_own_files_and_nothing_else(run):
    for seed in (0, 0, 1):
        assert recognize(run, *SHORT, "--seed", seed).code == 0
    events = [list((run / name).rglob("events.*")) for name in ("recognition_" + OF_SHORT,)]
    assert [len(files) for files in events] == [2]  # its curve, and its confusion matrix
    assert len(list(run.glob("recognition*.json"))) == 2


def test_linear_evaluation_learns_what_logistic_regression_does(run, data_root):
    x, x_test, y, y_test = features_of(run, data_root)
    exact = LogisticRegression(C=1e4, max_iter=5000).fit(x.numpy(), y)
    recognize(run, "--epochs", "400", "--schedule", "--test-every", "100", "--lr", "0.3")
    found = results(run, "recognition")["top1"]
    assert found == pytest.approx(100 * exact.score(x_test.numpy(), y_test), abs=100 / 24)
    assert found > 75


def test_finetuning_beats_the_frozen_encoder_on_its_training_clips(run):
    common = ("--modalities", "motion", "--epochs", "30", "--schedule", "--test-every", "30")
    recognize(run, "--finetune", *common, "--encoder-lr", "0.003")
    recognize(run, *common)
    names = ("recognition_motion_finetune", "recognition_motion_epochs")
    tuned, frozen = (results(run, name) for name in names)
    assert tuned["top1"] > frozen["top1"]


def test_features_are_saved_as_plain_arrays(run, data_root, tmp_path):
    file = tmp_path / "deep" / "features.npz"
    flags = ("--modalities", "joint,bone", "--late-fusion")
    recognize(run, *SHORT, "--save-features", str(file), *flags)
    with np.load(file, allow_pickle=False) as saved:
        for i, name in enumerate(("joint", "bone")):
            x, x_test, y, y_test = features_of(run, data_root, (name,))
            one = saved["features"][:, 32 * i : 32 * (i + 1)]
            np.testing.assert_allclose(one, torch.cat([x, x_test]), atol=1e-5)
        store = open_store(data_root, "ntu60")
        np.testing.assert_array_equal(saved["labels"], np.concatenate([y, y_test]))
        rows = np.concatenate(store.split("cross_subject"))
        assert saved["names"].tolist() == [store.names[row] for row in rows]
        assert saved["training"].sum() == len(y) and saved["training"][: len(y)].all()
    assert not list(file.parent.glob("*.part"))


def test_full_augmentation_has_the_strengths_of_the_pretraining(data_root, tmp_path):
    still = {"spatial_probability": 0.0, "shortest_crop": 1.0}
    found = {}
    for name, more in {"default": None, "still": still}.items():
        folder = write_run(tmp_path / name, data_root, more=more)
        for views in ("none", "full"):
            flags = ("--finetune", "--augment", views, "--epochs", 2)
            assert recognize(folder, *flags)[0] == 0
            (path,) = folder.glob(f"*augment-{views}.json")
            found[name, views] = json.loads(path.read_text())["tests"]
    assert found["still", "full"] == found["still", "none"] == found["default", "none"]
    assert found["default", "full"] != found["default", "none"]


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--modalities", "joint,joint"], "--modalities"),
        (["--modalities", "skeleton"], "--modalities"),
        (["--label-fraction", "1.5"], "--label-fraction"),
        (["--label-fraction", "0"], "--label-fraction"),
        (["--label-fraction", "0.1", "--labels-per-class", "1"], "--labels-per-class"),
        (["--augment", "full"], "--augment"),
        (["--encoder-lr", "0.1"], "--encoder-lr"),
        (["--finetune", "--save-features", "x.npz"], "--save-features"),
        (["--finetune", "--standardize"], "--standardize"),
        (["--tune", "--lr", "1"], "--lr"),
        (["--splits", "cross_view"], "--splits"),
        (["--splits", "cross_view", "cross_subject", "--protocol", "cross_view"], "--splits"),
        (["--epochs", "0"], "--epochs"),
        (["--classes", "9-3"], "--classes"),
        (["--observe", "1.5"], "--observe"),
        (["--drop-frames", "1"], "--drop-frames"),
    ],
)
def test_flags_that_do_not_go_are_refused(run, flags, named):
    code, _, error = recognize(run, *flags)
    assert code == 2 and named in error.splitlines()[-1] and not list(run.glob("recognition*"))


def test_standardized_features_are_judged_beside_those_as_published(run, data_root):
    assert recognize(run, "--standardize", *SHORT).code == 0
    plain = results(run, f"recognition_{OF_SHORT}")
    found = results(run, f"recognition_standardized_{OF_SHORT}")
    assert (plain["standardize"], found["standardize"]) == (False, True)
    assert recognize(run, *SHORT).code == 0
    assert results(run, f"recognition_{OF_SHORT}")["tests"] == plain["tests"]
    x, *_ = features_of(run, data_root)
    with np.load(run / f"recognition_standardized_{OF_SHORT}_scale.npz") as scale:
        np.testing.assert_allclose(scale["mean"][0], x.mean(0), rtol=1e-4, atol=1e-5)


def test_the_learning_rate_is_tuned_if_asked_for(run):
    done = recognize(run, "--tune", *SHORT)
    tuned = results(run, f"recognition_tuned_{OF_SHORT}")["tuned"]
    assert f"learning rate {tuned['lr']:g}" in done.out
    assert recognize(run, "--lr", tuned["lr"], *SHORT).code == 0
    names = (f"recognition_tuned_{OF_SHORT}", "recognition_epochs4")
    tests = [results(run, name)["tests"] for name in names]
    assert tests[0] == tests[1]


def test_six_classes_have_a_top_5_and_the_mean_of_unequal_classes(tmp_path):
    root = write_store(tmp_path / "data", clips=60, classes=6)
    folder = write_run(tmp_path / "run", root)
    done = recognize(folder, "--runs", 2, *SHORT)
    assert done.code == 0, done.err
    found = results(folder, "recognition")
    assert found["top1"] <= found["top5"] <= 100 and "top-5" in done.out
    (path,) = folder.glob("*_classes.csv")
    accuracies = [float(row[2]) for row in tables.read_csv(path)[1]]
    assert found["mean_class_accuracy"] == pytest.approx(np.mean(accuracies), abs=0.01)
    assert f"classes {found['mean_class_accuracy']:.2f} %" in done.out


def test_a_class_without_a_training_clip_is_named(run, data_root, tmp_path):
    root = shutil.copytree(data_root, tmp_path / "data")
    samples = root / "ntu60" / "samples.csv"
    lines = [line.split(",") for line in samples.read_text().splitlines()]
    for line in lines[1:]:
        line[5] = "9" if line[5] == "1" and int(line[3]) not in TRAIN_SUBJECTS else line[5]
    samples.write_text("\n".join(map(",".join, lines)) + "\n")
    done = recognize(run, "--data-root", root, *SHORT)
    assert done.code == 0, done.err
    found = results(run, "recognition")
    assert found["classes_without_training"] == [ACTION_NAMES[8]] and ACTION_NAMES[8] in done.out
    assert found["test_clips_of_classes_without_training"] == 6


def test_cross_validation_has_a_result_for_each_split_and_one_row(run):
    splits = ("cross_subject", "cross_view")
    done = recognize(run, "--splits", *splits, *SHORT)
    assert done.code == 0, done.err
    found = [results(run, f"recognition_2splits_{OF_SHORT}{end}") for end in ("", "_ntu60_cross_v")]
    assert [one["protocol"] for one in found] == list(splits)
    assert all(one["splits"] == list(splits) for one in found)
    for one, protocol in zip(found, splits, strict=True):  # the same as alone
        assert recognize(run, "--protocol", protocol, *SHORT).code == 0
        end = "" if protocol == "cross_subject" else "_ntu60_cross_view"
        assert results(run, f"recognition_{OF_SHORT}{end}")["tests"] == one["tests"]
    tops = [one["top1"] for one in found]
    mean = f"{np.mean(tops):.2f} ± {np.std(tops, ddof=1):.2f} %"
    assert f"mean of 2 splits: top-1 {mean}" in done.out
    rows = [line for line in call(table.main, run).out.splitlines() if "2splits" in line]
    assert len(rows) == 1 and f"{np.mean(tops):.1f} ± {np.std(tops, ddof=1):.1f}" in rows[0]


def test_late_fusion_of_one_modality_is_refused(run):
    ended = recognize(run, "--late-fusion", "--modalities", "bone", *SHORT)
    assert ended.code == 1 and "--late-fusion" in ended.err


def test_some_classes_alone(run, data_root):
    assert recognize(run, "--classes", "2-3", *SHORT).code == 0
    found = results(run, f"recognition_classes-2-3_{OF_SHORT}")
    assert (found["training_clips"], found["test_clips"]) == (12, 12)
    for missing, named, mend in (
        ("50-60", "--classes", "--protocol"),
        ("2,61", "--classes 61", "1-60"),
    ):
        code, _, error = recognize(run, "--classes", missing, *SHORT)
        assert code == 1 and named in error and mend in error and error.count("\n") == 1


@pytest.mark.parametrize("mode", [[], ["--finetune"], ["--late-fusion", "--runs", "2"]])
def test_curves_over_less_than_whole_clips(run, mode):
    flags = ("--observe", "0.1", "1", "--drop-joints", "0", "25", "--drop-frames")
    done = recognize(run, *mode, *SHORT, *flags)
    assert done.code == 0, done.err
    (path,) = run.glob("recognition*.json")
    tops = [one["tests"][-1]["top1"] for one in json.loads(path.read_text())["runs"]]
    kinds = (("observe0.1-1", "1.0", 2), ("drop-joints0-25", "0", 2), ("drop_frames", "0.0", 6))
    for name, whole, rows in kinds:
        file = path.with_name(f"{path.stem}_{name}.csv")
        _, lines = tables.read_csv(file)
        (values,) = ([float(v) for v in line[1:]] for line in lines if line[0] == whole)
        assert len(lines) == rows and values == pytest.approx(tops, abs=0.006)
        assert file.with_suffix(".png").stat().st_size > 1000
        assert str(file.with_suffix(".png")) in done.out
    _, lines = tables.read_csv(path.with_name(f"{path.stem}_drop-joints0-25.csv"))
    assert len(set(lines[1][1:])) == 1  # without joints all clips are the same


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--lr", "1e30", "--wd", "1"], "--wd"),
        (["--wd", "1e30"], "--wd"),
        (["--finetune", "--encoder-lr", "1e30"], "--encoder-lr"),
    ],
)
def test_a_training_that_diverges_is_no_result(run, flags, named):
    code, _, error = recognize(run, *SHORT, *flags)
    assert code == 1 and named in error and error.count("\n") == 1
    assert not list(run.glob("recognition*"))
