"""What ends a run from outside: Ctrl-C, a store cut short, a folder moved away, closed streams."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import pretrain
from feeder.store import open_store
from tests.runs import ROOT, call, pretraining
from tests.test_resume import assert_same_run
from tests.tiny_store import write_store
from tools.formats import checkpoint
from tools.training import run as library
from tools.training.distributed import Process, StopSignal
from tools.training.logs import TrainingLog


def at_step(monkeypatch, number: int, do: Callable[[], None]) -> None:
    """Call a function before a step of the next run; steps count from 1."""
    steps, real = itertools.count(1), library.training_step

    def step(*arguments):
        if next(steps) == number:
            do()
        return real(*arguments)

    monkeypatch.setattr(library, "training_step", step)


# ---- Ctrl-C


def test_ctrl_c_saves_and_the_same_command_goes_on(data_root, tmp_path, monkeypatch):
    flags = pretraining(data_root, tmp_path / "whole", "--epochs", 3, "--save-every", 50)
    assert call(pretrain.main, *flags).code == 0
    at_step(monkeypatch, 3, lambda: os.kill(os.getpid(), signal.SIGINT))
    flags = pretraining(data_root, tmp_path / "run", "--epochs", 3, "--save-every", 50)
    stopped = call(pretrain.main, *flags)
    assert (stopped.code, stopped.err) == (128 + signal.SIGINT, "")
    saved = checkpoint.newest(tmp_path / "run")
    assert checkpoint.position(saved) == (1, 1)
    assert "Ctrl-C" in stopped.out and f"goes on from {saved}" in stopped.out
    assert call(pretrain.main, *flags).code == 0
    assert_same_run(tmp_path / "run", tmp_path / "whole")


@pytest.fixture
def handlers():
    """Restore the handlers of signals after a test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_second_ctrl_c_ends_at_once(handlers):
    stop = StopSignal(Process(0, 1, torch.device("cpu")))
    stop.listen()
    os.kill(os.getpid(), signal.SIGINT)
    assert stop.asked and stop.name == "Ctrl-C"
    # Then no Python is needed, so that it works amid a long operation, too.
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL


def test_of_several_processes_one_ctrl_c_may_arrive_twice(handlers, monkeypatch):
    ended, now = [], [100.0]
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    stop = StopSignal(Process(0, 2, torch.device("cpu")))
    stop.listen()
    for later in (0, 0.2):  # from the terminal, and from the launcher
        now[0] += later
        os.kill(os.getpid(), signal.SIGINT)
    assert stop.asked and not ended
    now[0] += 2
    os.kill(os.getpid(), signal.SIGINT)
    assert ended == [128 + signal.SIGINT]


def test_ctrl_c_does_not_reach_a_job_in_the_background(data_root, tmp_path, monkeypatch):
    """Where a shell has told it to ignore that signal."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        at_step(monkeypatch, 1, lambda: os.kill(os.getpid(), signal.SIGINT))
        done = call(pretrain.main, *pretraining(data_root, tmp_path / "run", "--epochs", 1))
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.code == 0, done.err


# ---- what lies on the disk changes under a run


def one_line(err: str, *texts: object) -> None:
    assert re.fullmatch(r"error: [^\n]*\n", err), err
    assert all(str(text) in err for text in texts), err


@pytest.mark.parametrize("resident", [True, False])
def test_a_store_that_is_cut_short(tmp_path, monkeypatch, resident):
    root = write_store(tmp_path / "data", clips=48, frames=(100, 120))
    joints = root / "ntu60" / "joints.npy"
    if not resident:
        monkeypatch.setattr(library, "is_resident", lambda *_: False)
    steps, real = itertools.count(1), TrainingLog.add

    def add(*arguments):
        real(*arguments)
        if next(steps) == 2:
            os.truncate(joints, 10_000)

    monkeypatch.setattr(TrainingLog, "add", add)
    ended = call(pretrain.main, *pretraining(root, tmp_path / "run", "--epochs", 5))
    assert ended.code == 1
    one_line(ended.err, joints)


def test_a_store_that_is_replaced_is_read_to_the_end(tmp_path, data_root):
    root = write_store(tmp_path / "data")
    store = open_store(root, "ntu60")
    first = store.clip(0).copy()
    os.replace(root / "ntu60" / "samples.csv", root / "ntu60" / "joints.npy")
    store.require_whole()
    assert (store.clip(0) == first).all()


def test_a_folder_that_is_moved_away(data_root, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    at_step(monkeypatch, 2, lambda: folder.rename(tmp_path / "elsewhere"))
    ended = call(pretrain.main, *pretraining(data_root, folder, "--epochs", 9))
    assert ended.code == 1
    one_line(ended.err, folder)


def test_closed_streams_do_not_end_a_run(data_root, tmp_path):
    command = [sys.executable, "pretrain.py", *pretraining(data_root, tmp_path / "run")]
    shell = ["bash", "-c", '"$@" --epochs 1 2>&- >&-', "bash", *command]
    assert subprocess.run(shell, cwd=ROOT, check=False).returncode == 0
    assert checkpoint.newest(tmp_path / "run") == Path(tmp_path / "run" / "checkpoint_0001.pt")


# ---- settings that cannot work


@pytest.mark.parametrize(
    ("flags", "text"),
    [(["--batch-size", 1], "--batch-size"), (["--lr", "1e308"], "--lr")],
)
def test_settings_that_cannot_work_are_one_line(data_root, tmp_path, flags, text):
    ended = call(pretrain.main, *pretraining(data_root, tmp_path / "run", *flags))
    assert ended.code == 2 and not (tmp_path / "run").exists()
    one_line(ended.err, text)
