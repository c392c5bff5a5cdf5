"""The table of results: rows for what differs, means over what does not."""

import json
import statistics
import sys

import pytest

import action_classification
import action_retrieval
from tests.tiny_run import write_run
from tools import results
from tools.cli import UserError


def recognition(tops, *, seed=0, **more):
    """A result of recognition, whose runs end with these top-1 accuracies."""
    runs = [
        {"seed": i, "tests": [{"epoch": 5, "top1": top + 2, "top5": 90.0},
                              {"epoch": 10, "top1": top, "top5": 95.0}]}
        for i, top in enumerate(tops)
    ]  # fmt: skip
    pretraining = {
        "method": "umurl",
        "pre_dataset": "ntu60",
        "protocol": "cross_subject",
        "hidden_size": 1024,
        "epochs": 451,
        "seed": seed,
    }
    return {
        "task": "recognition",
        "encoder": "pretrained",
        "pretraining": pretraining,
        "dataset": "ntu60",
        "protocol": "cross_subject",
        "modalities": ["joint", "bone", "motion"],
        "test_clips": 16_487,
        "runs": runs,
    } | more


@pytest.fixture
def show(tmp_path, monkeypatch, capsys):
    """Write results, each to a run of its own, and read the table: the cells of each row."""

    def call(*found):
        for i, result in enumerate(found):
            (tmp_path / f"run{i}").mkdir()
            (tmp_path / f"run{i}" / "recognition.json").write_text(json.dumps(result))
        monkeypatch.setattr(sys, "argv", ["results", str(tmp_path)])
        results.main()
        out = capsys.readouterr().out
        rows = [line for line in out.splitlines() if line.startswith("|")]
        return [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows[2:]], out

    return call


def test_seeds_of_pretraining_and_of_evaluation_share_a_row(show):
    rows, out = show(recognition([80.0, 83.0], seed=0), recognition([85.0], seed=1))
    mean, deviation = statistics.mean([80, 83, 85]), statistics.stdev([80, 83, 85])
    assert len(rows) == 1 and "†" not in out
    assert rows[0][4] == f"{mean:.1f} ± {deviation:.1f}"
    assert rows[0][5] == f"{mean + 2:.1f} ± {deviation:.1f}"  # best of each run
    assert rows[0][6:] == ["95.0 ± 0.0", "–", "84.2", "3"]
    assert rows[0][:4] == [
        "recognition",
        "pretrained, width 1024",
        "ntu60 cross_subject, 451 epochs",
        "ntu60 cross_subject",
    ]


@pytest.mark.parametrize(
    ("more", "cell"),
    [
        ({"modalities": ["joint"]}, "recognition, joint"),
        ({"late_fusion": True}, "recognition, late fusion"),
        ({"finetune": True, "label_fraction": 0.01}, "fine-tuning, 1 % of labels"),
        ({"labels_per_class": 5}, "recognition, 5 labels a class"),
        ({"encoder": "random"}, "random, width 1024"),
        ({"protocol": "cross_view"}, "ntu60 cross_view"),
        ({"dataset": "pkummd2"}, "pkummd2 cross_subject"),
        ({"pretraining": {"method": "baseline"}}, "? ?, baseline, ? epochs"),
        ({"lr": 0.1}, "recognition"),
    ],
)
def test_whatever_else_differs_has_a_row_of_its_own(show, more, cell):
    rows, _ = show(recognition([80.0]), recognition([60.0], **more))
    assert sorted(row[4] for row in rows) == ["60.0", "80.0"]
    assert cell in next(row for row in rows if row[4] == "60.0")


def test_the_papers_figures_stand_beside(show):
    rows, out = show(
        recognition([80.0], modalities=["joint"]),
        recognition([81.0], late_fusion=True, test_clips=500),
        recognition([82.0], finetune=True),
    )
    assert {row[4]: row[8] for row in rows} == {"80.0": "82.3", "81.0": "84.4 †", "82.0": "–"}
    assert "† on the whole official test set" in out


def test_results_of_the_commands_are_collected(data_root, tmp_path, monkeypatch, capsys):
    for seed in (0, 1):
        folder = write_run(tmp_path / f"run{seed}", data_root, seed=seed)
        for command in (action_classification, action_retrieval):
            flags = ["--checkpoint-path", str(folder)]
            flags += ["--epochs", "2"] if command is action_classification else []
            monkeypatch.setattr(sys, "argv", ["x", *flags])
            command.main()
    accuracies = [
        json.loads((tmp_path / f"run{seed}" / "retrieval.json").read_text())["accuracy"]
        for seed in (0, 1)
    ]
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["results", *(str(tmp_path / f"run{i}") for i in (0, 1))])
    results.main()
    lines = capsys.readouterr().out.splitlines()
    (retrieval,) = (line for line in lines if line.startswith("| retrieval"))
    expected = f"{statistics.mean(accuracies):.1f} ± {statistics.stdev(accuracies):.1f}"
    assert expected in retrieval and "72.0 †" in retrieval and retrieval.endswith("| 2 |")
    assert sum(line.startswith("| recognition") for line in lines) == 1


def test_no_results_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["results", str(tmp_path)])
    with pytest.raises(UserError, match="no result in"):
        results.main()
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UserError, match=r"a\.json is not JSON"):
        results.main()
