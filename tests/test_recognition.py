"""Recognition: its command from end to end, its parts on their own."""

import json
import sys

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import action_classification
from feeder.store import open_store
from net.modalities import derive
from tests import runs
from tests.tiny_run import write_run
from tools.evaluation import subject as evaluation
from tools.evaluation.recognition import LinearClassifier, accuracy, few_labels, summary

SHORT = ("--epochs", "4", "--test-every", "2", "--schedule", "3")


@pytest.fixture
def run(data_root, tmp_path):
    return write_run(tmp_path / "run", data_root)


def recognise(folder, *flags):
    """Call the command: exit code, output, errors."""
    return runs.call(action_classification.main, "--checkpoint-path", folder, *flags)


def results(folder, name):
    return json.loads((folder / f"{name}.json").read_text())


def features_of(folder, data_root, names=("joint", "bone", "motion")):
    """Features of the training and test clips of ntu60 cross_subject, one clip at a time."""
    encoder, store = evaluation.load_encoder(folder), open_store(data_root, "ntu60")
    clips = [store.joints[a : a + n] for a, n in zip(store.start, store.frames, strict=True)]
    features = torch.stack([evaluation.encode_clip(encoder, clip, names) for clip in clips])
    train, test = store.split("cross_subject")
    return features[train], features[test], store.label[train], store.label[test]


# ---------------------------------------------------------------- the command


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ([], "recognition"),
        (["--pretrained", "random"], "recognition_random"),
        (["--modalities", "joint"], "recognition_joint"),
        (["--modalities", "motion,joint", "--late-fusion"], "recognition_joint-motion_late_fusion"),
        (["--finetune"], "recognition_finetune"),
        (["--finetune", "--late-fusion", "--augment", "full"], "recognition_late_fusion_finetune"),
        (["--finetune", "--label-fraction", "0.1"], "recognition_finetune_10pct"),
        (["--label-fraction", "0.005"], "recognition_0.5pct"),
        (["--labels-per-class", "2", "--modalities", "bone"], "recognition_bone_2perclass"),
        (["--protocol", "cross_view"], "recognition_ntu60_cross_view"),
        (["--finetune-dataset", "ntu120"], "recognition_ntu120_cross_subject"),
    ],
)
def test_every_mode_says_what_it_is_and_where_it_wrote(run, flags, name):
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
    together = results(run, "recognition_1perclass")
    alone = []
    for seed in ("5", "6", "7"):
        recognise(run, *flags, "--seed", seed)
        alone.append(results(run, "recognition_1perclass"))
    assert [r["seed"] for r in together["runs"]] == [5, 6, 7]
    assert [r["labelled_clips"] for r in together["runs"]] == [4, 4, 4]
    tops = [r["top1"] for r in alone]
    assert [r["tests"] for r in together["runs"]] == [r["tests"] for r in alone]
    assert together["top1"] == pytest.approx(np.mean(tops))
    assert together["top1_std"] == pytest.approx(np.std(tops, ddof=1))
    assert alone[0]["top1_std"] is None


def test_linear_evaluation_learns_what_logistic_regression_does(run, data_root):
    x, x_test, y, y_test = features_of(run, data_root)
    exact = LogisticRegression(C=1e4, max_iter=5000).fit(x.numpy(), y)
    recognise(run, "--epochs", "400", "--schedule", "--test-every", "100", "--lr", "0.3")
    found = results(run, "recognition")["top1"]
    assert found == pytest.approx(100 * exact.score(x_test.numpy(), y_test), abs=100 / 24)
    assert found > 75


def test_late_fusion_adds_the_scores_of_layers_trained_apart(data_root, run, monkeypatch):
    """On the full batch the order cannot matter, so streams together are streams alone."""
    monkeypatch.setattr(
        sys,
        "argv",
        f"x --checkpoint-path {run} --late-fusion --wd 0.01 --epochs 30 --schedule 20".split(),
    )
    args = action_classification.parse_args()
    subject = evaluation.load_subject(args)
    streams = [("joint",), ("bone",), ("motion",)]
    scores, kept = [], np.arange(len(subject.train))
    writer = torch.utils.tensorboard.SummaryWriter(run / "events")
    for some in ([streams[0]], [streams[1]], [streams[2]], streams):
        args.streams = some
        halves = (action_classification.encode(args, subject, h) for h in ("training", "test"))
        torch.manual_seed(0)
        learner = action_classification.linear_evaluation(args, subject, *halves, kept, 0)
        for layer in learner.model.layers:  # the same start for all
            torch.nn.init.zeros_(layer.weight)
        action_classification.train_and_test(args, learner, writer)
        scores.append(action_classification.predict(learner)[0])
    torch.testing.assert_close(scores[3], scores[0] + scores[1] + scores[2], rtol=1e-4, atol=1e-5)


def test_finetuning_moves_the_encoder_of_its_run_alone(run, monkeypatch):
    made = []
    finetuning = action_classification.finetuning

    def spy(args, subject, *rest):
        learner = finetuning(args, subject, *rest)
        start = {k: v.clone() for k, v in learner.model.encoder.state_dict().items()}
        made.append((subject.encoder, start, learner.model.encoder))
        return learner

    monkeypatch.setattr(action_classification, "finetuning", spy)
    recognise(run, "--finetune", "--modalities", "joint", "--runs", "2", *SHORT)
    for frozen, start, tuned in made:
        for key, weight in frozen.state_dict().items():
            assert torch.equal(weight, start[key])  # both runs begin from what was pre-trained
            used = not ("bone" in key or "motion" in key or "fusion" in key)
            assert torch.equal(weight, tuned.state_dict()[key]) != used


@pytest.mark.parametrize(("flags", "sizes"), [([], [3] * 8), (["--batch-size", "2"], [2] * 12)])
def test_finetuning_takes_steps_enough_of_few_clips(run, monkeypatch, flags, sizes):
    command = ["x", "--checkpoint-path", str(run), "--finetune", *flags]
    monkeypatch.setattr(sys, "argv", command)
    args = action_classification.parse_args()
    subject = evaluation.load_subject(args)
    args.streams = [subject.modalities]
    learner = action_classification.finetuning(args, subject, np.arange(24), 0)
    batches = list(learner.train(0))
    assert [len(classes) for _, classes in batches] == sizes
    classes = torch.cat([classes for _, classes in batches])
    assert classes.sort().values.tolist() == sorted(subject.store.label[subject.train])


def test_finetuning_beats_the_frozen_encoder_on_its_training_clips(run):
    common = ("--modalities", "motion", "--epochs", "30", "--schedule", "--test-every", "30")
    recognise(run, "--finetune", *common, "--encoder-lr", "0.003")
    recognise(run, *common)
    tuned, frozen = results(run, "recognition_motion_finetune"), results(run, "recognition_motion")
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
    ],
)
def test_flags_that_do_not_go_are_refused_in_one_line(run, flags, said):
    code, _, error = recognise(run, *flags)
    assert code == 2 and said in error and error.count("\n") == 1


def test_a_loss_that_breaks_ends_the_run(run):
    code, _, error = recognise(run, "--lr", "3e38", "--wd", "1", *SHORT)
    assert code == 1 and "lower --lr" in error and error.count("\n") == 1
    assert not (run / "recognition.json").exists()


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
    runs = [
        {"tests": [{"epoch": 5, "top1": a, "top5": 90.0}, {"epoch": 7, "top1": b, "top5": 80.0}]}
        for a, b in ((60.0, 50.0), (50.0, 54.0))
    ]
    found = summary(runs)
    assert (found["top1"], found["best_top1"], found["best_epoch"]) == (52, 55, 5)
    assert found["top1_std"] == pytest.approx(8**0.5)
    assert found["best_top1_std"] == pytest.approx(50**0.5)
    assert found["top5"] == 80


def test_one_modality_skips_the_fusion(data_root, run):
    encoder, store = evaluation.load_encoder(run), open_store(data_root, "ntu60")
    clip = store.joints[: store.frames[0]]
    before = evaluation.encode_clip(encoder, clip, ("bone",))
    fused = evaluation.encode_clip(encoder, clip, ("joint", "bone"))
    for stream in (encoder.temporal, encoder.spatial):
        torch.nn.init.zeros_(stream.fusion.weight)
    assert torch.equal(evaluation.encode_clip(encoder, clip, ("bone",)), before)
    assert not torch.equal(evaluation.encode_clip(encoder, clip, ("joint", "bone")), fused)
    assert list(derive(torch.zeros(1, 64, 2, 25, 3), ("bone",))) == ["bone"]
