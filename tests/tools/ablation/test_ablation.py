"""The command on a tiny store: planned, stopped, started again, failing, and wrong flags."""

import json
import sys
from pathlib import Path

import pytest
import torch

import pretrain
from tests.runs import call
from tools.ablation import __main__ as ablation
from tools.ablation.variants import DEFAULT, VARIANTS

SMALL = ["--pre-dataset", "ntu60", "--hidden-size", "8", "--projector-width", "16"]


def flags(data_root: Path, out: Path, *more: object) -> list[str]:
    return ["--data-root", str(data_root), "--out", str(out), *SMALL, *map(str, more)]


def planned(data_root: Path, out: Path, *more: object) -> list[dict]:
    return ablation.plan(*ablation.parse_args(flags(data_root, out, *more)))


def results(out: Path) -> dict[str, dict]:
    """{variant: result} of the runs that are done."""
    found = [json.loads(path.read_text()) for path in out.glob("runs/*/result.json")]
    return {result["variant"]: result for result in found}


def test_runs_are_variants_by_rates_by_seeds_and_those_that_take_encoders_come_last(data_root):
    more = ("--variants", "late_alone", "no_intra", "--lr", 0.1, 0.2, "--seeds", 3)
    runs = planned(data_root, Path("out"), *more)
    names = [run["variant"] for run in runs[::6]]
    assert names == [DEFAULT, "no_intra", "joint", "bone", "motion", "late_alone"]
    assert len({run["folder"] for run in runs}) == len(runs) == 6 * 2 * 3
    for run in runs:
        there = Path(run["folder"]).name.rsplit("_", 1)[0]
        assert there == f"{run['variant']}_lr{run['lr']:g}_seed{run['seed']}"
        assert (run["settings"]["lr"], run["settings"]["seed"]) == (run["lr"], run["seed"])
        assert len(run["encoders"]) == (3 if run["variant"] == "late_alone" else 0)
        assert {*run["encoders"]} <= {other["folder"] for other in runs}


def test_a_folder_has_another_name_for_other_settings_alone(data_root):
    def names(*more):
        runs = planned(data_root, Path("out"), "--variants", "late", *more)
        return {Path(run["folder"]).name for run in runs}

    usual = names()
    assert names("--save-every", 3, "--workers", 2, "--keep-checkpoints") == usual
    for other in (("--epochs", 61), ("--shear-amplitude", 0.5), ("--recipe", "umurl_plus")):
        assert not names(*other) & usual


@pytest.mark.parametrize("name", VARIANTS)
def test_each_variant_can_be_trained_and_read(name):
    variant = VARIANTS[name]
    _, settings, _ = ablation.flags_of([], name)
    assert settings["schedule"] == [46] or settings["cosine"]
    assert not variant.encoders or len(variant.encoders) == len(variant.streams)


@pytest.mark.parametrize("schedule", [("--schedule", 40), ("--schedule=40",)])
def test_a_schedule_goes_to_all_rows_and_leaves_out_that_of_cosine(data_root, schedule):
    usual, runs = planned(data_root, Path("out")), planned(data_root, Path("out"), *schedule)
    assert {run["variant"] for run in usual} - {run["variant"] for run in runs} == {"cosine"}
    assert all(run["settings"]["schedule"] == [40] for run in runs)


@pytest.mark.parametrize(
    ("visible", "gpus", "jobs", "expected"),
    [(None, 2, None, {"0", "1"}), ("5,7", 2, 3, {"5", "7"}), ("", 0, 2, {""}), ("", 0, -1, {""})],
)
def test_processes_are_spread_over_the_visible_gpus(
    data_root, tmp_path, monkeypatch, visible, gpus, jobs, expected
):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    script = "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"
    monkeypatch.setattr(ablation, "COMMAND", [sys.executable, "-c", script])
    todo = planned(data_root, tmp_path, "--variants", "no_intra", "--seeds", 2)
    done = list(ablation.perform_all(todo, ablation.places_of(jobs), keep=False))
    assert len(done) == 4 and not any(fault for _, fault in done)
    assert {Path(run["folder"], "log.txt").read_text().strip() for run, _ in done} == expected


def test_a_stopped_table_continues(data_root, tmp_path):
    more = ("--variants", "late", "--seeds", 1, "--jobs", 1, "--batch-size", 12)
    more += ("--epochs", 8, "--evaluate-every", 4)
    stopped = planned(data_root, tmp_path, *more)[0]["flags"]
    assert call(pretrain.main, *stopped, "--epochs", 4).code == 0
    arguments = flags(data_root, tmp_path, *more)
    done = call(ablation.main, *arguments)
    assert done.code == 0 and "late fusion" in done.out, done.err
    (default,) = tmp_path.glob("runs/default*")
    assert "resuming" in (default / "log.txt").read_text()
    assert {path.name for path in default.iterdir()} == {"log.txt", "result.json", "features.pt"}
    found = results(tmp_path)
    curve = found[DEFAULT]["curve"]
    assert [(at["epoch"], at["step"]) for at in curve] == [(4, 12), (8, 24)]
    assert curve[-1]["test"] == found[DEFAULT]["test"]
    assert {*found["late"]["encoders"]} == {str(default)}

    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/*")}
    assert call(ablation.main, *arguments).code == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/*")} == before


def test_a_run_that_fails_says_why_and_those_that_need_it_fail_too(data_root, tmp_path):
    more = ("--variants", "late", "--seeds", 1, "--jobs", 1)
    damaged = Path(planned(data_root, tmp_path, *more)[0]["folder"], "checkpoint_0001.pt")
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"")
    done = call(ablation.main, *flags(data_root, tmp_path, *more))
    assert done.code == 1 and results(tmp_path) == {}
    assert str(damaged) in done.err and "features.pt" in done.err


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--variants", "one_fused"), "one_fused"),  # as the default
        (("--seed", "3"), "--seed"),
        (("--evaluate-every", "100"), "--evaluate-every"),
        (("--cosine", "--schedule", "3"), "--schedule"),
        (("--pre-dataset", "ntu60", "ntu120"), "--pre-dataset"),
        (("--protocol", "cross_setup_2"), "cross_setup_2"),
        (("--sedes", "3"), "--sedes"),
    ],
)
def test_what_cannot_be_run_leaves_nothing(data_root, tmp_path, wrong, said):
    done = call(ablation.main, *flags(data_root, tmp_path / "out", *wrong))
    assert done.code in (1, 2) and said in done.err.splitlines()[-1]
    assert not (tmp_path / "out").exists()
