"""A run that is stopped or killed continues, with the results of a run without interruption."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import pretrain
from tests.runs import Child, Outcome, call, pretraining, server
from tests.tiny_store import write_store
from tools.training import checkpoint
from tools.training.log import TrainingLog

EPOCHS, STEPS = 4, 2  # of the runs inside this process: 24 training clips by 12


def assert_same_run(folder: Path, reference: Path) -> None:
    """Assert that two runs have the same newest checkpoint, bit by bit, and the same curves."""
    ours, theirs = (checkpoint.load(checkpoint.newest(f)) for f in (folder, reference))
    assert (ours["epoch"], ours["step"]) == (theirs["epoch"], theirs["step"])
    for part in ("model", "optimizer"):
        assert ours[part].keys() == theirs[part].keys()
    for name, weight in theirs["model"].items():
        assert torch.equal(ours["model"][name], weight), name
    assert ours["optimizer"]["param_groups"] == theirs["optimizer"]["param_groups"]
    for index, moments in theirs["optimizer"]["state"].items():
        for name, value in moments.items():
            assert torch.equal(ours["optimizer"]["state"][index][name], value), name
    assert (ours["data"], ours["scaler"]) == (theirs["data"], theirs["scaler"])
    assert curves(folder) == curves(reference)


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The points and pictures of a run in TensorBoard, without those that depend on time."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0}).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag != "train/clips_per_second"]
    assert {"loss/total", "loss/intra", "features/std", "train/learning_rate"} <= set(tags)
    points = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags}
    for tag in events.Tags()["images"]:
        points[tag] = [(e.step, e.encoded_image_string) for e in events.Images(tag)]
    for tag, shown in points.items():
        steps = [step for step, _ in shown]
        assert steps == sorted(set(steps)), tag
    return points


def pretrain_small(root: Path, folder: Path, *flags: object, epochs: int = EPOCHS) -> Outcome:
    return call(pretrain.main, *pretraining(root, folder, "--epochs", epochs, *flags))


@pytest.fixture(scope="module")
def finished(data_root, tmp_path_factory) -> Path:
    """The folder of a run that nothing interrupted; all its checkpoints are kept."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    done = pretrain_small(data_root, folder, "--keep", 9)
    assert done.code == 0 and "pre-training is done" in done.out
    return folder


class Crash(BaseException):
    """Raised in place of the end of a process."""


def interrupt(monkeypatch, *at: int, by: Callable[[], None]) -> None:
    """Call a function after some steps, counted from 1 over all runs of a test."""
    steps, add = [], TrainingLog.add

    def add_and_interrupt(*arguments):
        add(*arguments)
        steps.append(1)
        if len(steps) in at:
            by()

    monkeypatch.setattr(TrainingLog, "add", add_and_interrupt)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("last", [1, 4, 5])
def test_a_signal_saves_after_any_step(data_root, finished, tmp_path, monkeypatch, last, number):
    interrupt(monkeypatch, last, by=lambda: os.kill(os.getpid(), number))
    stopped = pretrain_small(data_root, tmp_path / "run", "--save-every", 50)
    assert (stopped.code, stopped.err) == (128 + number, "")
    saved = checkpoint.load(checkpoint.newest(tmp_path / "run"))
    assert (saved["epoch"], saved["step"]) == divmod(last, STEPS)
    assert pretrain_small(data_root, tmp_path / "run", "--save-every", 50).code == 0
    assert_same_run(tmp_path / "run", finished)


def test_a_finished_run_is_continued_when_it_is_made_longer(data_root, finished, tmp_path):
    for epochs in (1, 3, 3, EPOCHS):
        assert pretrain_small(data_root, tmp_path / "run", epochs=epochs).code == 0
    assert_same_run(tmp_path / "run", finished)


def test_crashes_leave_no_trace_in_curves_and_pictures(data_root, tmp_path, monkeypatch):
    flags = ("--monitor-every", 1, "--print-freq", 1)
    assert pretrain_small(data_root, tmp_path / "whole", *flags, epochs=3).code == 0

    def crash() -> None:
        raise Crash

    interrupt(monkeypatch, 1, 5, 6, by=crash)
    for _ in range(3):
        with pytest.raises(Crash):
            pretrain_small(data_root, tmp_path / "run", *flags, epochs=3)
    assert pretrain_small(data_root, tmp_path / "run", *flags, epochs=3).code == 0
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    assert [step for step, _ in curves(tmp_path / "run")["monitor/views"]] == [0, 2, 4, 6]


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_taken(
    data_root, finished, tmp_path, damage
):
    shutil.copytree(finished, tmp_path / "run")
    path = checkpoint.newest(tmp_path / "run")
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    path.write_bytes(content[: len(content) // 2] if damage == "truncated" else content)
    again = pretrain_small(data_root, tmp_path / "run", "--keep", 9)
    assert again.code == 0 and str(path) in again.out
    assert_same_run(tmp_path / "run", finished)


def test_a_named_checkpoint_begins_another_run(data_root, finished, tmp_path):
    named = checkpoint.path_of(finished, 2)
    for _ in range(2):  # the second time the folder's own checkpoint wins
        assert pretrain_small(data_root, tmp_path / "run", "--resume", named).code == 0
    for part in ("model", "optimizer"):
        ours, theirs = (
            checkpoint.load(checkpoint.newest(f))[part] for f in (tmp_path / "run", finished)
        )
        assert str(ours) == str(theirs)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--lr", 1e-3), "--lr"),
        (("--seed", 1), "--seed"),
        (("--yaw", 10), "--yaw"),
        (("--hidden-size", 16), "--hidden-size"),
        (("--protocol", "cross_view"), "--protocol"),
    ],
)
def test_other_settings_are_refused_by_name(data_root, finished, tmp_path, flags, named):
    shutil.copytree(finished, tmp_path / "run")
    refused = pretrain_small(data_root, tmp_path / "run", *flags, epochs=6)
    assert refused.code == 1 and named in refused.err and "--resume-anyway" in refused.err
    taken = pretrain_small(data_root, tmp_path / "run", *flags, "--resume-anyway", epochs=6)
    assert taken.code == (1 if named == "--hidden-size" else 0), taken.err


def test_other_data_are_refused(finished, tmp_path):
    other = write_store(tmp_path / "other", seed=7)
    refused = pretrain_small(other, finished, epochs=6)
    assert refused.code == 1 and "data:" in refused.err


def test_settings_of_older_code(data_root, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    path = checkpoint.newest(tmp_path / "run")
    saved = torch.load(path, weights_only=True)
    saved["settings"] |= {"accumulate": 2, "no_compile": True, "average": 0.0}
    del saved["settings"]["tilt"]  # a setting that is newer than the checkpoint
    torch.save(saved, path)
    assert pretrain_small(data_root, tmp_path / "run", epochs=5).code == 0
    saved["settings"]["average"] = 0.99
    torch.save(saved, checkpoint.path_of(tmp_path / "run", 9))
    refused = pretrain_small(data_root, tmp_path / "run", epochs=15)
    assert refused.code == 1 and "--average" in refused.err


def test_two_runs_in_one_folder(data_root, tmp_path, start):
    flags = pretraining(data_root, tmp_path / "run", "--epochs", 10_000)
    child = start(tmp_path, flags)
    while not checkpoint.in_folder(tmp_path / "run"):
        assert not child.ended()
        time.sleep(0.01)
    other = call(pretrain.main, *flags)
    child.kill()
    child.wait()
    assert other.code == 1 and str(tmp_path / "run") in other.err


# ---- a run that is killed


@pytest.fixture(scope="module")
def start():
    """A function that starts runs of pretrain.py in other processes: see tests.runs.server."""
    with server() as start:
        yield start


def kill_in_turn(start, data_root: Path, folder: Path, kills: int, epochs: int, seed: int) -> int:
    """Start a run, kill it, start it again; then let it end. Compare it with one not killed.

    Some of the kills come at a random moment, some as soon as a file is seen to be written.
    Returns how many left such a file behind: they came amid writing.
    """
    rng, amid_writing, number, left_over = random.Random(seed), 0, 0, kills
    child = start(folder, pretraining(data_root, folder / "whole", "--epochs", epochs))
    began = time.monotonic()
    reference = child.wait()
    lasts = time.monotonic() - began
    assert reference.code == 0, reference.err
    while left_over:
        run, number = folder / f"killed_{number}", number + 1
        flags = pretraining(data_root, run, "--epochs", epochs)
        done = False
        while left_over and not done:
            child = start(folder, flags)
            wait_for(child, run, rng, lasts)
            child.kill()
            ended = child.wait()
            assert ended.err == "" and ended.code in (0, -signal.SIGKILL), ended
            done = ended.code == 0
            left_over -= not done
            amid_writing += bool(list(run.glob("*.part")))
        ended = start(folder, flags).wait()
        assert ended.code == 0, ended.err
        assert not list(run.glob("*.part"))
        assert_same_run(run, folder / "whole")
    return amid_writing


def wait_for(child: Child, run: Path, rng: random.Random, lasts: float) -> None:
    """Until a random moment of a run, or until it writes: the first, second or third checkpoint."""
    moment, wanted = time.monotonic() + rng.uniform(0, lasts), rng.choice((1, 2, 3, None, None))
    seen = set()
    while not child.ended():
        seen |= set(run.glob("*.part"))
        if len(seen) == wanted if wanted else time.monotonic() > moment:
            return
        time.sleep(0.0005)


def test_killed_at_twenty_random_moments(data_root, tmp_path, start):
    assert kill_in_turn(start, data_root, tmp_path, kills=20, epochs=6, seed=0) >= 2


@pytest.mark.slow
def test_killed_at_three_hundred_random_moments(data_root, tmp_path, start):
    assert kill_in_turn(start, data_root, tmp_path, kills=300, epochs=30, seed=1) >= 30
