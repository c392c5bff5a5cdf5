"""The command on a tiny store: killed, started again, failing, and wrong flags."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.runs import ROOT, call
from tools.ablation import __main__ as ablation
from tools.ablation.plan import Run
from tools.ablation.running import perform

NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}

SMALL = [
    *("--pre-dataset", "ntu60", "--protocol", "cross_view", "--hidden-size", "8"),
    *("--projector-width", "16", "--batch-size", "12", "--save-every", "1"),
]


def flags(data_root: Path, out: Path, *more: object) -> list[str]:
    return ["--data-root", str(data_root), "--out", str(out), *SMALL, *map(str, more)]


def planned(flags: list[str]) -> list[Run]:
    return ablation.plan_of(ablation.parse_args(flags)).runs()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """As the runs of an ablation compute, on which the last digits depend."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def results(out: Path) -> dict[str, dict]:
    return {p.parent.name: json.loads(p.read_text()) for p in out.glob("runs/*/result.json")}


def test_a_killed_table_goes_on_and_ends_as_if_it_had_not_been(data_root, tmp_path):
    out = tmp_path / "out"
    table = flags(data_root, out, "--variants", "no_intra", "--seeds", 2, "--jobs", 2)
    table += ["--epochs", "20"]
    killed = subprocess.Popen(
        [sys.executable, "-m", "tools.ablation", *table],
        cwd=ROOT,
        env=os.environ | NO_GPU,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not list(out.glob("runs/*/checkpoint_*.pt")):
        assert killed.poll() is None
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    begun = {path.parent for path in out.glob("runs/*/checkpoint_*.pt")}
    assert begun and len(results(out)) < 4

    done = call(ablation.main, *table, environment=NO_GPU)
    assert done.code == 0, done.err
    assert "| without intra |" in done.out and str(out / "table.md") in done.out
    assert (out / "table.csv").exists() and (out / "runs.csv").exists()
    logs = [(folder / "log.txt").read_text() for folder in begun]
    assert any("going on from" in log for log in logs)
    left = {"features.npz", "log.txt", "result.json"}
    assert all({path.name for path in folder.iterdir()} == left for folder in out.glob("runs/*"))

    run = planned(flags(data_root, tmp_path / "whole", *table[-2:], "--variants", "no_intra"))[0]
    with one_thread():
        assert perform(run)
    here, there = results(tmp_path / "whole")[run.folder.name], results(out)[run.folder.name]
    assert [here[part] for part in ("test", "held_out")] == [there[p] for p in ("test", "held_out")]

    before = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/*")}
    again = call(ablation.main, *table)
    assert again.code == 0 and "4 of them done before" in again.out
    assert {path: path.stat().st_mtime_ns for path in out.glob("runs/*/*")} == before


def test_figures_on_the_way(data_root, tmp_path):
    more = ("--variants", "default", "--seeds", 1, "--epochs", 3, "--evaluate-every", 2)
    (run,) = planned(flags(data_root, tmp_path, *more, "--keep-checkpoints"))
    assert perform(run)
    found = results(tmp_path)[run.folder.name]
    assert [(at["epoch"], at["step"]) for at in found["curve"]] == [(2, 6), (3, 9)]
    assert found["curve"][-1]["test"] == found["test"]
    assert list(run.folder.glob("checkpoint_0003.pt"))


def test_a_run_that_fails_is_named_and_those_that_need_it_are_not_done(data_root, tmp_path):
    more = ("--variants", "late", "--seeds", 1, "--lr", 1e30, "--epochs", 2, "--jobs", 1)
    done = call(ablation.main, *flags(data_root, tmp_path, *more), environment=NO_GPU)
    assert done.code == 1 and results(tmp_path) == {}
    first, second, last = done.err.splitlines()
    assert first.startswith("error: default, lr 1e+30, seed 0: ") and "log.txt" in first
    assert second.startswith("error: late, lr 1e+30, seed 0: ") and last.startswith("error: ")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--variants", "everything"), "--variants"),
        (("--seeds", "0"), "--seeds"),
        (("--lr", "0"), "--lr"),
        (("--hidden-size", "7", "--num-head", "2"), "--num-head"),
        (("--pre-dataset", "nothing"), "nothing"),
        (("--pre-dataset", "ntu60", "ntu120"), "--pre-dataset"),
        (("--protocol", "cross_setup_2"), "cross_setup_2"),
        (("--method", "baseline", "--variants", "no_intra"), "--intra-weight"),
        (("--amp", "fp16"), "--amp"),
    ],
)
def test_what_cannot_be_run_is_one_line_and_leaves_nothing(data_root, tmp_path, wrong, said):
    done = call(ablation.main, *flags(data_root, tmp_path / "out", *wrong))
    assert done.code in (1, 2) and said in done.err and done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
