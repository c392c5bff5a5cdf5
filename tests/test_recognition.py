"""Recognition: its command from end to end, its parts on their own."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import action_classification
from feeder.store import open_store
from net.modalities import derive
from tests import runs
from tests.encoders import GraphEncoder
from tests.tiny_run import write_run
from tools.cli import UserError
from tools.evaluation import encoders, recognition
from tools.evaluation.classifiers import LinearClassifier
from tools.evaluation.features import encode, encode_clip, halves_for, open_halves
from tools.evaluation.labels import few_labels
from tools.evaluation.learners import finetuning_learner, linear_learner
from tools.evaluation.recognition import Run, accuracy, predict, summary
from tools.evaluation.settings import FINETUNE, LINEAR
from tools.formats import tables

SHORT = ("--epochs", "4", "--test-every", "2", "--schedule", "3")
OF_SHORT = "epochs4_schedule3_test-every2"


@pytest.fixture
def run(data_root, tmp_path):
    return write_run(tmp_path / "run", data_root)


def recognise(folder, *flags):
    """Call the command: exit code, output, errors."""
    return runs.call(action_classification.main, "--checkpoint-path", folder, *flags)


def results(folder, name):
    """The result of this name; of those whose names begin with it, the only one."""
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


# ---------------------------------------------------------------- the command


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
    said = recognise(run, *flags, *SHORT).out
    assert f"written to {run / name}.json" in said
    found = results(run, name)
    assert f"top-1 {found['top1']:.2f}" in said
    assert found["encoder"] == ("random" if "random" in flags else "pretrained")
    assert (found["late_fusion"], found["finetune"]) == (
        "--late-fusion" in flags,
        "--finetune" in flags,
    )
    assert [test["epoch"] for test in found["tests"]] == [2, 4]
    assert found["top1"] == found["tests"][-1]["top1"]
    assert found["best_top1"] == max(test["top1"] for test in found["tests"])
    assert 0 <= found["top1"] <= found["top5"] <= 100
    assert list((run / name / "seed0").glob("events.*"))


def test_runs_are_those_of_consecutive_seeds(run):
    flags = ("--labels-per-class", "1", *SHORT)
    recognise(run, *flags, "--seed", "5", "--runs", "3")
    name = f"recognition_1perclass_{OF_SHORT}_seed"
    together = results(run, f"{name}5_runs3")
    for seed in (5, 6, 7):
        recognise(run, *flags, "--seed", seed)
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
        assert recognise(run, *SHORT, "--seed", seed).code == 0
    events = [list((run / name).rglob("events.*")) for name in ("recognition_" + OF_SHORT,)]
    assert [len(files) for files in events] == [2]  # its curve, and its confusion matrix
    assert len(list(run.glob("recognition*.json"))) == 2


def test_linear_evaluation_learns_what_logistic_regression_does(run, data_root):
    x, x_test, y, y_test = features_of(run, data_root)
    exact = LogisticRegression(C=1e4, max_iter=5000).fit(x.numpy(), y)
    recognise(run, "--epochs", "400", "--schedule", "--test-every", "100", "--lr", "0.3")
    found = results(run, "recognition")["top1"]
    assert found == pytest.approx(100 * exact.score(x_test.numpy(), y_test), abs=100 / 24)
    assert found > 75


def test_late_fusion_adds_the_scores_of_layers_trained_apart(run):
    """On the full batch the order cannot matter, so streams together are streams alone."""
    loaded = encoders.load(run)
    data = halves_for(loaded)
    settings = replace(LINEAR, wd=0.01, epochs=30, schedule=(20,))
    streams = [("joint",), ("bone",), ("motion",)]
    scores = []
    for some in ([streams[0]], [streams[1]], [streams[2]], streams):
        features = encode(loaded.encoder, data, some)
        learner = linear_learner(features, settings, np.arange(len(data.train)))
        for layer in learner.model.layers:  # the same start for all
            torch.nn.init.zeros_(layer.weight)
        recognition.train_and_test(learner, settings, 0, len(data.train))
        scores.append(predict(learner.model, learner.test())[0])
    torch.testing.assert_close(scores[3], scores[0] + scores[1] + scores[2], rtol=1e-4, atol=1e-5)


def test_finetuning_moves_a_copy_of_the_encoder(run):
    loaded = encoders.load(run)
    before = {key: value.clone() for key, value in loaded.encoder.state_dict().items()}
    settings = replace(FINETUNE, epochs=2)
    runs = recognition.finetune(
        loaded.encoder, halves_for(loaded), [("joint",)], settings, seeds=(0, 1)
    )
    assert len(runs) == 2
    for key, weight in loaded.encoder.state_dict().items():
        assert torch.equal(weight, before[key])  # so both runs begin from what was pre-trained
        used = not ("bone" in key or "motion" in key or "fusion" in key)
        for tuned in (one.model.encoder.state_dict() for one in runs):
            assert torch.equal(weight, tuned[key]) != used


@pytest.mark.parametrize(("batch", "sizes"), [(64, [3] * 8), (2, [2] * 12)])
def test_finetuning_takes_steps_enough_of_few_clips(run, batch, sizes):
    loaded = encoders.load(run)
    data, settings = halves_for(loaded), replace(FINETUNE, batch_size=batch)
    learner = finetuning_learner(
        loaded.encoder, data, [("joint", "bone", "motion")], settings, np.arange(24), 0
    )
    batches = list(learner.train(0))
    assert [len(classes) for _, classes in batches] == sizes
    classes = torch.cat([classes for _, classes in batches])
    assert classes.sort().values.tolist() == sorted(data.store.label[data.train])


def test_an_encoder_with_batch_statistics_trains_in_train_mode_and_tests_in_eval_mode(data_root):
    """Its running statistics move with the training batches, and the tests leave them alone."""
    torch.manual_seed(0)
    encoder = GraphEncoder(12).eval().requires_grad_(False)
    modes = []
    encoder.register_forward_hook(lambda module, *_: modes.append(module.training))
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    data = open_halves(open_store(data_root, "ntu60"), "cross_subject")

    features = encode(encoder, data, [("joint",)])
    runs = recognition.linear_evaluation(features, replace(LINEAR, lr=1.0))
    assert features.train.shape == (1, 24, 12) and not any(modes)
    assert runs[0].tests[-1]["top1"] > 30  # of four classes
    modes.clear()

    (tuned,) = recognition.finetune(encoder, data, [("joint",)], replace(FINETUNE, epochs=5))
    assert modes == [*[True] * 8 * 5, False]  # 8 steps an epoch, one test
    assert not encoder.training
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, before[key]), key
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        key = f"norm.{name}"
        assert not torch.equal(tuned.model.encoder.state_dict()[key], before[key])
    assert tuned.model.encoder.norm.num_batches_tracked == 8 * 5


def test_finetuning_beats_the_frozen_encoder_on_its_training_clips(run):
    common = ("--modalities", "motion", "--epochs", "30", "--schedule", "--test-every", "30")
    recognise(run, "--finetune", *common, "--encoder-lr", "0.003")
    recognise(run, *common)
    names = ("recognition_motion_finetune", "recognition_motion_epochs")
    tuned, frozen = (results(run, name) for name in names)
    assert tuned["top1"] > frozen["top1"]


def test_features_are_saved_as_plain_arrays(run, data_root, tmp_path):
    file = tmp_path / "deep" / "features.npz"
    recognise(run, *SHORT, "--save-features", str(file), "--modalities", "joint", "--late-fusion")
    with np.load(file, allow_pickle=False) as saved:
        x, x_test, y, y_test = features_of(run, data_root, ("joint",))
        store = open_store(data_root, "ntu60")
        np.testing.assert_allclose(saved["features"], torch.cat([x, x_test]), atol=1e-5)
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
            assert recognise(folder, *flags)[0] == 0
            (path,) = folder.glob(f"*augment-{views}.json")
            found[name, views] = json.loads(path.read_text())["tests"]
    assert found["still", "full"] == found["still", "none"] == found["default", "none"]
    assert found["default", "full"] != found["default", "none"]


def test_impossible_strengths_of_a_checkpoint_are_one_line(data_root, tmp_path):
    folder = write_run(tmp_path / "run", data_root, more={"zero_probability": 7.0})
    code, _, error = recognise(folder, "--finetune", "--epochs", 1)
    assert code == 1 and "--zero-probability" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--modalities", "joint,joint"], "each at most once"),
        (["--modalities", "skeleton"], "joint,bone,motion"),
        (["--label-fraction", "1.5"], "'1.5' is more than 1"),
        (["--label-fraction", "0"], "above 0"),
        (["--label-fraction", "0.1", "--labels-per-class", "1"], "not allowed with"),
        (["--augment", "full"], "--augment is for --finetune"),
        (["--encoder-lr", "0.1"], "--encoder-lr is for --finetune"),
        (["--finetune", "--save-features", "x.npz"], "without --finetune"),
        (["--finetune", "--standardize"], "without --finetune"),
        (["--tune", "--lr", "1"], "--lr"),
        (["--save-features", ""], "--save-features"),
        (["--classes", "9-3"], "--classes"),
        (["--observe", "1.5"], "--observe"),
        (["--drop-frames", "1"], "--drop-frames"),
    ],
)
def test_flags_that_do_not_go_are_refused_in_one_line(run, flags, said):
    code, _, error = recognise(run, *flags)
    assert code == 2 and said in error and error.count("\n") == 1


def test_standardized_features_are_judged_beside_those_as_published(run, data_root):
    assert recognise(run, "--standardize", *SHORT).code == 0
    plain = results(run, f"recognition_{OF_SHORT}")
    found = results(run, f"recognition_standardized_{OF_SHORT}")
    assert (plain["standardize"], found["standardize"]) == (False, True)
    assert recognise(run, *SHORT).code == 0
    assert results(run, f"recognition_{OF_SHORT}")["tests"] == plain["tests"]
    x, *_ = features_of(run, data_root)
    with np.load(run / f"recognition_standardized_{OF_SHORT}_scale.npz") as scale:
        np.testing.assert_allclose(scale["mean"][0], x.mean(0), rtol=1e-4, atol=1e-5)


def test_the_learning_rate_is_tuned_if_asked_for(run):
    done = recognise(run, "--tune", *SHORT)
    tuned = results(run, f"recognition_tuned_{OF_SHORT}")["tuned"]
    assert f"learning rate {tuned['lr']:g}" in done.out
    assert recognise(run, "--lr", tuned["lr"], *SHORT).code == 0
    names = (f"recognition_tuned_{OF_SHORT}", "recognition_epochs4")
    tests = [results(run, name)["tests"] for name in names]
    assert tests[0] == tests[1]


def test_some_classes_alone(run, data_root):
    assert recognise(run, "--classes", "2-3", *SHORT).code == 0
    found = results(run, f"recognition_classes-2-3_{OF_SHORT}")
    assert (found["training_clips"], found["test_clips"]) == (12, 12)
    code, _, error = recognise(run, "--classes", "50-60", *SHORT)
    assert code == 1 and "--classes" in error and error.count("\n") == 1


@pytest.mark.parametrize("mode", [[], ["--finetune"], ["--late-fusion", "--runs", "2"]])
def test_curves_over_less_than_whole_clips(run, mode):
    flags = ("--observe", "0.1", "1", "--drop-joints", "0", "25", "--drop-frames")
    done = recognise(run, *mode, *SHORT, *flags)
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
    assert len(set(lines[1][1:])) == 1  # nothing is left to tell clips apart


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--lr", "1e30", "--wd", "1"], "--wd"),
        (["--wd", "1e30"], "--wd"),
        (["--wd", "1e30", "--epochs", "1"], "--wd"),
        (["--finetune", "--wd", "1e30"], "--wd"),
        (["--finetune", "--encoder-lr", "1e30"], "--encoder-lr"),
    ],
)
def test_a_training_that_diverges_is_no_result(run, flags, named):
    code, _, error = recognise(run, *SHORT, *flags)
    assert code == 1 and named in error and error.count("\n") == 1
    assert not list(run.glob("recognition*"))


def test_scores_that_are_not_finite_are_no_result(run):
    """Seen after the last step, too, whose loss was still finite."""
    loaded = encoders.load(run)
    features = encode(loaded.encoder, halves_for(loaded))
    with pytest.raises(UserError, match="--lr"):
        recognition.linear_evaluation(features, replace(LINEAR, lr=3e38, epochs=1))


# ---------------------------------------------------------------- parts


def test_few_labels_are_balanced_nested_and_drawn_by_seed():
    classes = np.random.default_rng(0).permutation(np.repeat([0, 3, 7, 9], [100, 40, 7, 1]))
    tenth = few_labels(classes, 0, fraction=0.1)
    assert np.bincount(classes[tenth], minlength=10).tolist() == [10, 0, 0, 4, 0, 0, 0, 1, 0, 1]
    assert set(few_labels(classes, 0, fraction=0.01)) <= set(tenth)
    assert set(tenth) <= set(few_labels(classes, 0, fraction=0.5))
    assert not np.array_equal(tenth, few_labels(classes, 1, fraction=0.1))
    np.testing.assert_array_equal(tenth, few_labels(classes, 0, fraction=0.1))
    five = few_labels(classes, 0, count=5)
    assert np.bincount(classes[five])[[0, 3, 7, 9]].tolist() == [5, 5, 5, 1]
    np.testing.assert_array_equal(few_labels(classes, 0), np.arange(148))
    np.testing.assert_array_equal(few_labels(classes, 0, fraction=1.0), np.arange(148))


def test_linear_classifier_starts_as_published():
    torch.manual_seed(0)
    layer = LinearClassifier(2, 2048, 60)
    assert [x.weight.std().item() for x in layer.layers] == pytest.approx([0.01] * 2, rel=0.02)
    assert all((x.bias == 0).all() for x in layer.layers)
    assert layer(torch.randn(2, 5, 2048)).shape == (2, 5, 60)


def test_accuracy_counts_the_first_and_the_first_five():
    scores = torch.tensor([[9.0, 8, 7, 6, 5, 4], [4, 5, 6, 7, 8, 9], [9, 8, 7, 6, 5, 4]])
    assert accuracy(scores, torch.tensor([0, 1, 5])) == pytest.approx(
        {"top1": 100 / 3, "top5": 200 / 3}
    )
    assert accuracy(scores[:, :2], torch.tensor([0, 1, 1]))["top5"] == 100


def test_summary_takes_the_best_of_the_mean_curve():
    tests = [
        [{"epoch": 5, "top1": a, "top5": 90.0}, {"epoch": 7, "top1": b, "top5": 80.0}]
        for a, b in ((60.0, 50.0), (50.0, 54.0))
    ]
    runs = [Run(seed, 4, each, torch.zeros(1), None) for seed, each in enumerate(tests)]
    found = summary(runs)
    assert (found["top1"], found["best_top1"], found["best_epoch"]) == (52, 55, 5)
    assert found["top1_std"] == pytest.approx(8**0.5)
    assert found["best_top1_std"] == pytest.approx(50**0.5)
    assert found["top5"] == 80


def test_one_modality_skips_the_fusion(data_root, run):
    encoder, store = encoders.load_encoder(run), open_store(data_root, "ntu60")
    clip = store.joints[: store.length[0]]
    before = encode_clip(encoder, clip, ("bone",))
    fused = encode_clip(encoder, clip, ("joint", "bone"))
    for stream in (encoder.temporal, encoder.spatial):
        torch.nn.init.zeros_(stream.fusion.weight)
    assert torch.equal(encode_clip(encoder, clip, ("bone",)), before)
    assert not torch.equal(encode_clip(encoder, clip, ("joint", "bone")), fused)
    assert list(derive(torch.zeros(1, 64, 2, 25, 3), ("bone",))) == ["bone"]
