"""action_retrieval.py from end to end."""

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

import action_retrieval
from feeder.datasets import NTU_ACTIONS
from feeder.store import open_store
from tests.golden_files import GOLDEN
from tests.literal import evaluation as literal
from tests.runs import call, refusal, succeed
from tests.tiny_run import features_of, write_run
from tests.tiny_store import write_store
from tools.evaluation.features import Labels
from tools.formats import tables

RAW = GOLDEN / "skeletons" / "S001C001P001R001A001.skeleton"


def retrieve(folder, *flags):
    return succeed(action_retrieval.main, "--checkpoint-path", folder, *flags)


def result(folder, name):
    return json.loads((folder / f"{name}.json").read_text())


def literal_score(x, label, train, test):
    """The literal accuracy in percent, where rounding cannot change which class is nearest."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    similarity = unit[test] @ unit[train].T
    own = label[train] == label[test][:, None]
    of_own, of_others = (similarity.max(1, where=kind, initial=-1) for kind in (own, ~own))
    assert np.abs(of_own - of_others).min() > 1e-5
    x, label = torch.from_numpy(x), torch.from_numpy(label)
    return 100 * literal.retrieval_accuracy(x[train], label[train], x[test], label[test])


def test_results_are_those_of_the_literal_version_and_of_scikit_learn(run, data_root):
    flags = ("--knn-neighbours", 3, 1, 7, "--modalities", "joint,motion", "--map")
    said = retrieve(run, *flags)
    path = run / "retrieval_joint-motion_k3-1-7.json"
    assert f"written to {path}" in said
    found = json.loads(path.read_text())

    store = open_store(data_root, "ntu60")
    x = features_of(run, store, ("joint", "motion")).numpy()
    train, test = store.split("cross_subject")
    score = literal_score(x, store.label, train, test)
    assert found["accuracies"]["1"] == found["recall_at_1"] == pytest.approx(score)
    assert found["neighbours"] == 3 and found["accuracy"] == found["accuracies"]["3"]
    assert list(found["accuracies"]) == ["3", "1", "7"]
    assert f"3-NN accuracy {found['accuracy']:.2f} %" in said

    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    similarity = unit[test] @ unit[train].T
    order = np.argsort(-similarity, axis=1)
    right = store.label[train][order] == store.label[test][:, None]
    steps = np.diff(-np.take_along_axis(similarity, order, axis=1))
    assert steps[right[:, 1:] != right[:, :-1]].min() > 1e-5  # so that rounding swaps no two
    assert found["recall_at_5"] == pytest.approx(100 * right[:, :5].any(1).mean())
    exact = [
        average_precision_score(store.label[train] == store.label[row], unit[train] @ unit[row])
        for row in test
    ]
    assert found["map"] == pytest.approx(100 * np.mean(exact), abs=1e-3)
    header, rows = tables.read_csv(path.with_name(f"{path.stem}_neighbours.csv"))
    assert header[:3] == ["query", "found_1", "similarity_1"] and len(header) == 11
    assert [row[0] for row in rows] == [store.names[row] for row in test]
    assert [row[1] for row in rows] == [store.names[train[row[0]]] for row in order]


def test_results_have_names_of_their_own(run):
    flags = ("--pretrained", "random", "--seed", 2, "--finetune-dataset", "ntu120")
    said = retrieve(run, *flags)
    found = result(run, "retrieval_ntu120_cross_subject_random_seed2")
    assert f"{found['title']} {found['protocol']}: " in said
    assert found["map"] is None and "mAP" not in said


@pytest.mark.parametrize(("flags", "shown"), [((), 5), (("--knn-neighbours", 3), 3)])
def test_a_query_shows_the_nearest_training_clips(run, flags, shown):
    said = retrieve(run, "--query", RAW, *flags)
    lines = [line.split(maxsplit=3) for line in said.splitlines()[1:]]
    assert len(lines) == shown and not list(run.glob("*.json"))
    assert [float(line[0]) for line in lines] == sorted((float(x[0]) for x in lines), reverse=True)
    for _, name, action, words in lines:
        assert name.endswith(action) and words == NTU_ACTIONS[int(action[1:]) - 1]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--knn-neighbours", 25], "--knn-neighbours 25"),
        (["--knn-neighbours", 0], "--knn-neighbours"),
        (["--runs", 2], "--runs"),
        (["--query", "none.skeleton"], "none.skeleton"),
        (["--query", RAW, "--save-features", "x.npz"], "--save-features"),
        (["--query", RAW, "--label-fraction", 0.5], "--label-fraction"),
        (["--query", RAW, "--drop-joints", 0], "--drop-joints"),
        (["--query", RAW, "--map"], "--map"),
        (["--query", RAW, "--seed", 1], "--seed"),
        (["--pretrained", "none.pt"], "none.pt"),
        (["--protocol", "cross_setup"], "cross_setup"),
        (["--data-root", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_and_flags_without_effect_are_refused(run, flags, said):
    code, out, error = call(action_retrieval.main, "--checkpoint-path", run, *flags)
    assert code in (1, 2) and said in error.splitlines()[-1] and not out
    assert not list(run.glob("*.json"))


def test_modalities_that_pretraining_did_not_encode_are_refused(data_root, tmp_path):
    run = write_run(tmp_path / "run", data_root, more={"method": "joint"})
    where = ("--checkpoint-path", run, "--modalities")
    assert "bone" in refusal(action_retrieval.main, *where, "joint,bone")
    succeed(action_retrieval.main, *where, "joint,bone", "--pretrained", "random")


@pytest.mark.parametrize("some", [True, False])
def test_classes_that_do_not_occur_in_training_are_named(tmp_path, some):
    """Where none of them occurs there is no mean average precision: null, not NaN."""
    unseen = {1: 11} if some else {1: 11, 2: 12, 3: 13, 4: 14}
    root = write_store(tmp_path / "data", test_actions=unseen)
    folder = write_run(tmp_path / "run", root)
    said = retrieve(folder, "--map")
    found = result(folder, "retrieval")
    clips = 6 * len(unseen)
    assert found["test_clips_of_classes_without_training"] == clips
    assert (found["map"] is None) is not some and ("mAP" in said) is some
    named = [NTU_ACTIONS[action - 1] for action in unseen.values()]
    assert found["classes_without_training"] == named and ", ".join(named) in said
    assert f"{clips} of 24 test clips" in said


def test_a_query_among_a_single_training_clip(tmp_path):
    root = write_store(tmp_path / "data", clips=12, classes=6)
    folder = write_run(tmp_path / "run", root, more={"protocol": "cross_view"})
    said = retrieve(folder, "--classes", 2, "--query", RAW)
    assert [line.split()[2] for line in said.splitlines()[1:]] == ["A002"]


def test_standardized_neighbors_are_shown_beside_those_as_published(run, data_root):
    retrieve(run, "--standardize")
    plain, found = (result(run, f"retrieval{end}") for end in ("", "_standardized"))
    assert (plain["standardize"], found["standardize"]) == (False, True)
    with np.load(run / "retrieval_standardized_scale.npz") as saved:
        mean, deviation = saved["mean"], saved["deviation"]
    store = open_store(data_root, "ntu60")
    train, test = store.split("cross_subject")
    x = features_of(run, store).numpy()
    np.testing.assert_allclose(mean[0], x[train].mean(0), rtol=1e-4, atol=1e-5)
    x = ((x - mean) / deviation).astype(np.float32)
    assert found["accuracy"] == pytest.approx(literal_score(x, store.label, train, test))
    said = retrieve(run, "--query", RAW, "--standardize").splitlines()
    assert len(said) == 12 and "standardized" in said[6] and "standardized" not in said[0]


def test_few_shot_on_new_classes(run, data_root):
    flags = ("--classes", "2-4", "--labels-per-class", "1", "--runs", "3", "--seed", "5")
    retrieve(run, *flags)
    found = result(run, "retrieval_1perclass_classes-2-4_seed5_runs3")
    assert found["test_clips"] == 18 and [r["seed"] for r in found["runs"]] == [5, 6, 7]
    assert [r["labelled_clips"] for r in found["runs"]] == [3, 3, 3]
    each = [r["accuracy"] for r in found["runs"]]
    assert found["accuracy"] == pytest.approx(np.mean(each))
    assert found["accuracy_std"] == pytest.approx(np.std(each, ddof=1))
    store = open_store(data_root, "ntu60")
    train, test = (rows[store.action[rows] > 1] for rows in store.split("cross_subject"))
    kept = train[Labels(per_class=1).draw(store.label[train], 5)]
    score = literal_score(features_of(run, store).numpy(), store.label, kept, test)
    assert each[0] == pytest.approx(score)


def test_curves_over_less_than_whole_clips(run):
    flags = ("--observe", "0.1", "1", "--drop-joints", "0", "--drop-frames", "0")
    retrieve(run, *flags)
    for name in ("observe0.1-1", "drop-joints0", "drop-frames0"):
        *_, last = tables.read_csv(run / f"retrieval_{name}.csv")[1]
        assert float(last[1]) == pytest.approx(result(run, "retrieval")["accuracy"], abs=0.006)
        assert (run / f"retrieval_{name}.png").is_file()
