"""The table of results: rows for what differs, means over seeds alone."""

import json
import statistics

import pytest

import action_classification
import action_retrieval
from tests.runs import refusal, succeed
from tests.tiny_run import write_run
from tools import results

COLUMNS = results.HEADER
SETTINGS = {
    **{"method": "umurl", "pre_dataset": "ntu60", "protocol": "cross_subject"},
    **{"hidden_size": 1024, "num_head": 1, "num_layer": 1, "projector_width": 4096},
    **{"epochs": 451, "lr": 5e-4, "wd": 1e-5, "batch_size": 512, "schedule": [351], "seed": 0},
    **{"data_root": "data", "workers": 4, "save_every": 10},
}


def recognition(tops, first=0, pretraining=None, **more):
    """A result of recognition, whose runs end with these top-1 accuracies."""
    runs = [
        {"seed": i, "tests": [{"epoch": 5, "top1": top + 2, "top5": 90.0},
                              {"epoch": 10, "top1": top, "top5": 95.0}]}
        for i, top in enumerate(tops, first)
    ]  # fmt: skip
    return {
        **{"task": "recognition", "encoder": "pretrained", "seed": first, "runs": runs},
        "checkpoint": "checkpoints/run/checkpoint_0451.pt",
        "pretraining": SETTINGS | (pretraining or {}),
        **{"dataset": "ntu60", "protocol": "cross_subject", "samples.csv sha256": "a" * 64},
        **{"title": "ntu60", "pretraining_data": {}, "late_fusion": False},
        "modalities": ["joint", "bone", "motion"],
        **{"training_clips": 40_091, "test_clips": 16_487, "official_clips": [40_091, 16_487]},
    } | more


def retrieval(accuracies, precision=50.0, **more):
    run = {"seed": 0, "accuracies": accuracies, "map": precision, "recall_at_5": 99.0}
    base = recognition([0.0]) | {"task": "retrieval", "runs": [run]}
    base |= {"knn_neighbours": [*map(int, accuracies)]}
    return base | {"label_fraction": None, "labels_per_class": None} | more


@pytest.fixture
def show(tmp_path):
    """Write results, each to a run of its own, and read the table: its rows by column."""

    def read(*found):
        for i, result in enumerate(found):
            folder = tmp_path / f"run{i}"
            folder.mkdir(exist_ok=True)
            for n, one in enumerate(result if isinstance(result, list) else [result]):
                (folder / f"result{n}.json").write_text(json.dumps(one))
        printed = succeed(results.main, tmp_path)
        lines = [line for line in printed.splitlines() if line.startswith("|")]
        cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
        return [dict(zip(COLUMNS, row, strict=True)) for row in cells]

    return read


def test_seeds_of_pretraining_and_of_evaluation_share_a_row(show):
    tops = ([80.0, 83.0], [85.0, 84.0])
    more = {"data_root": "/mnt/data", "workers": 0, "average": 0.0, "no_compile": True}
    (row,) = show(*(recognition(t, pretraining=more | {"seed": s}) for s, t in enumerate(tops)))
    values = [top for some in tops for top in some]
    mean, deviation = statistics.mean(values), statistics.stdev(values)
    assert row == {
        "evaluation": "recognition",
        "encoder": "pretrained, width 1024",
        "trained on": "ntu60 cross_subject, 451 epochs",
        "settings that differ": "–",
        "tested on": "ntu60 cross_subject",
        "top-1": f"{mean:.1f} ± {deviation:.1f}",
        "best top-1": f"{mean + 2:.1f} ± {deviation:.1f}",
        "top-5": "95.0 ± 0.0",
        **{"mAP": "–", "paper": "84.2", "seeds": "2 × 2", "runs": "run0, run1"},
    }


@pytest.mark.parametrize(
    ("more", "column", "cell"),
    [
        ({"pretraining": {"lr": 1e-3, "seed": 1}}, "settings that differ", "lr 0.001"),
        ({"pretraining": {"schedule": [3, 4]}}, "settings that differ", "schedule 3-4"),
        ({"pretraining": {"inter_weight": 0.0}}, "settings that differ", "inter_weight 0"),
        ({"samples.csv sha256": "b" * 64}, "settings that differ", "data bbbbbbbb"),
        ({"modalities": ["joint", "bone"]}, "evaluation", "recognition, joint + bone"),
        ({"finetune": True, "label_fraction": 0.01}, "evaluation", "fine-tuning, 1pct"),
        ({"encoder": "random"}, "settings that differ", "–"),
        ({"protocol": "cross_view"}, "tested on", "ntu60 cross_view"),
        (
            {"checkpoint": "run/checkpoint_0200.pt", "pretraining": {"method": "baseline"}},
            *("trained on", "ntu60 cross_subject, simple baseline, 451 epochs, checkpoint_0200"),
        ),
    ],
)
def test_whatever_else_differs_has_a_row_of_its_own(show, more, column, cell):
    rows = show(recognition([80.0]), recognition([60.0], **more))
    assert sorted(row["top-1"] for row in rows) == ["60.0", "80.0"]
    assert next(row for row in rows if row["top-1"] == "60.0")[column] == cell


def test_settings_that_came_later_are_as_older_code_had_them(show):
    newer = {"intra_weight": 5.0, "inter_weight": 5.0, "encoder": "transformer", "seed": 1}
    (row,) = show(recognition([80.0]), recognition([81.0], pretraining=newer))
    assert row["seeds"] == "2 × 1"


def test_the_same_seed_again_is_not_another_seed(show):
    """In one folder it counts once; in another folder it has a row of its own, without a ±."""
    again = [recognition([80.0]), recognition([80.0, 82.0])]
    (row,) = show(again)
    assert (row["seeds"], row["top-1"]) == ("1 × 2", "81.0 ± 1.4")
    rows = show(again, recognition([90.0]))
    assert [(row["runs"], row["seeds"]) for row in rows] == [("run0", "1 × 2"), ("run1", "1 × 1")]
    assert rows[1]["top-1"] == "90.0"


def test_random_weights_are_those_of_their_seed_in_every_run(show):
    three = [recognition([50.0], encoder="random", pretraining={"lr": lr}) for lr in (1, 2)]
    rows = show(*three, recognition([52.0], 1, encoder="random"))
    assert [(row["seeds"], row["settings that differ"]) for row in rows] == [("2 of 2 × 2", "–")]


def test_retrieval_has_a_row_for_each_number_of_neighbors(show):
    many = retrieval({"5": 70.0, "1": 66.0}, precision=None)
    rows = show(many, retrieval({"1": 68.0}, pretraining=SETTINGS | {"seed": 1}))
    found = {
        row["evaluation"]: [row[c] for c in ("top-1", "seeds", "paper", "mAP")] for row in rows
    }
    assert found["retrieval"] == ["67.0 ± 1.4", "2 × 1", "72.0", "50.0"]
    assert found["retrieval, k5"] == ["70.0", "1 × 1", "–", "–"]


def test_data_has_its_title_where_it_was_trained_on_and_tested_on(show):
    made = {"title": "synthetic recordings", "official_clips": None}
    (row,) = show(recognition([80.0], pretraining_data={"samples.csv sha256": "a" * 64}, **made))
    assert row["trained on"] == "synthetic recordings cross_subject, 451 epochs"
    assert row["tested on"] == "synthetic recordings cross_subject" and row["paper"] == "–"


def test_results_of_the_commands_are_collected(data_root, tmp_path):
    accuracies = []
    for seed in (0, 1):
        folder = write_run(tmp_path / f"run{seed}", data_root, seed=seed)
        succeed(action_classification.main, "--checkpoint-path", folder, "--epochs", 2)
        succeed(action_retrieval.main, "--checkpoint-path", folder)
        (folder / "tsne.json").write_text('{"panels": []}')
        accuracies.append(json.loads((folder / "retrieval.json").read_text())["accuracy"])
    lines = succeed(results.main, *(tmp_path / f"run{seed}" for seed in (0, 1))).splitlines()
    (line,) = (line for line in lines if line.startswith("| retrieval"))
    expected = f"{statistics.mean(accuracies):.1f} ± {statistics.stdev(accuracies):.1f}"
    assert expected in line and "2 × 1" in line
    assert sum(line.startswith("| recognition") for line in lines) == 1


def test_no_results_are_one_line(tmp_path):
    assert str(tmp_path) in refusal(results.main, tmp_path)
    (tmp_path / "a.json").write_text("{")
    assert "a.json" in refusal(results.main, tmp_path)
