"""A run that is interrupted and goes on gives the same results as a run without interruption."""

import itertools
import os
import random
import re
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import pretrain
from tests.runs import Child, Outcome, call, pretraining, server
from tools.formats import checkpoint
from tools.training import run

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


# ---- stops that let the run save


@pytest.mark.parametrize("last", range(1, EPOCHS * STEPS))
def test_sigterm_saves_after_any_step(data_root, finished, tmp_path, monkeypatch, last):
    interrupt(monkeypatch, last, by=lambda: os.kill(os.getpid(), signal.SIGTERM))
    stopped = pretrain_small(data_root, tmp_path / "run", "--save-every", 50)
    assert stopped.code == 143 and stopped.err == ""
    assert f"stopped by SIGTERM at step {last}" in stopped.out
    saved = checkpoint.load(checkpoint.newest(tmp_path / "run"))
    assert (saved["epoch"], saved["step"]) == divmod(last, STEPS)

    again = pretrain_small(data_root, tmp_path / "run", "--save-every", 50)
    assert again.code == 0 and "going on from" in again.out
    assert_same_run(tmp_path / "run", finished)


def test_a_shorter_run_goes_on_when_it_is_made_longer(data_root, finished, tmp_path):
    for epochs in range(1, EPOCHS + 1):
        assert pretrain_small(data_root, tmp_path / "run", epochs=epochs).code == 0
    assert_same_run(tmp_path / "run", finished)


def test_a_finished_run_says_so_and_writes_nothing(data_root, finished):
    before = sorted((f, f.stat().st_mtime_ns) for f in finished.iterdir() if f.name != ".lock")
    again = pretrain_small(data_root, finished, "--keep", 9)
    assert again.code == 0 and f"is finished: {EPOCHS} epochs are done" in again.out
    assert before == sorted(
        (f, f.stat().st_mtime_ns) for f in finished.iterdir() if f.name != ".lock"
    )


class Crash(BaseException):
    """Raised in place of the end of a process."""


def interrupt(monkeypatch, *at: int, by: Callable[[], None]) -> None:
    """Call a function before some steps, which are counted from 1 over all runs of a test."""
    steps, real = itertools.count(1), run.training_step

    def step(*arguments):
        if next(steps) in at:
            by()
        return real(*arguments)

    monkeypatch.setattr(run, "training_step", step)


def test_crashes_leave_no_trace_in_curves_and_pictures(data_root, tmp_path, monkeypatch):
    flags = ("--monitor-every", 1, "--print-freq", 1)
    assert pretrain_small(data_root, tmp_path / "whole", *flags, epochs=3).code == 0

    def crash() -> None:
        raise Crash

    interrupt(monkeypatch, 1, 5, 6, by=crash)  # at step 1, at step 4, at step 3 done again
    for _ in range(3):
        with pytest.raises(Crash):
            pretrain_small(data_root, tmp_path / "run", *flags, epochs=3)
    assert pretrain_small(data_root, tmp_path / "run", *flags, epochs=3).code == 0
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    assert [step for step, _ in curves(tmp_path / "run")["monitor/views"]] == [0, 2, 4, 6]


def test_the_loss_scale_of_fp16_goes_on(data_root, tmp_path, monkeypatch):
    real, flags = torch.amp.GradScaler, ("--amp", "fp16")

    def scaler(device: str, enabled: bool) -> torch.amp.GradScaler:
        return real(device, init_scale=2.0**18, growth_interval=3, enabled=enabled)

    monkeypatch.setattr(torch.amp, "GradScaler", scaler)
    monkeypatch.setattr(run, "check", lambda *_: None)  # which wants a GPU for it
    assert pretrain_small(data_root, tmp_path / "whole", *flags).code == 0
    interrupt(monkeypatch, 3, 6, by=lambda: os.kill(os.getpid(), signal.SIGTERM))
    for code in (143, 143, 0):
        assert pretrain_small(data_root, tmp_path / "run", *flags).code == code
    assert_same_run(tmp_path / "run", tmp_path / "whole")


# ---- full disks


@pytest.fixture
def files_no_larger_than(monkeypatch):
    """Make a write beyond a size fail, as on a full disk, until the test ends or size is None."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size is None else size, hard))

    yield limit
    limit(None)


@pytest.mark.parametrize("size", [500, 100_000])
def test_a_full_disk_ends_the_run_with_one_line(
    data_root, finished, tmp_path, files_no_larger_than, size
):
    """500 bytes stop TensorBoard's file, 100,000 a checkpoint's."""
    folder = tmp_path / "run"
    assert pretrain_small(data_root, folder, epochs=2).code == 0
    before = {path: path.read_bytes() for path in checkpoint.in_folder(folder)}
    files_no_larger_than(size)
    failed = pretrain_small(data_root, folder)
    files_no_larger_than(None)
    assert failed.code == 1
    assert re.fullmatch(r"error: .*\n", failed.err), failed.err
    assert {path: path.read_bytes() for path in checkpoint.in_folder(folder)} == before
    assert not list(folder.glob("*.part"))
    assert pretrain_small(data_root, folder).code == 0
    assert_same_run(folder, finished)


# ---- checkpoints that cannot be used


def test_a_damaged_newest_checkpoint_is_said_and_the_one_before_taken(
    data_root, finished, tmp_path
):
    folder = tmp_path / "run"
    assert pretrain_small(data_root, folder, epochs=3).code == 0
    path = checkpoint.newest(folder)
    path.write_bytes(path.read_bytes()[:-1000])
    again = pretrain_small(data_root, folder)
    assert again.code == 0
    assert f"warning: {path} is damaged" in again.out
    assert f"going on from {folder / 'checkpoint_0002.pt'}" in again.out
    assert_same_run(folder, finished)


def test_a_run_whose_checkpoints_are_all_damaged_is_not_begun_anew(data_root, tmp_path):
    folder = tmp_path / "run"
    assert pretrain_small(data_root, folder, epochs=2).code == 0
    for path in checkpoint.in_folder(folder):
        path.write_bytes(b"")
    again = pretrain_small(data_root, folder)
    assert again.code == 1
    assert again.err == f"error: {folder}: no checkpoint is whole; move them away to start anew\n"


def test_another_runs_checkpoint_begins_a_run_and_the_same_command_goes_on(
    data_root, finished, tmp_path
):
    folder, first = tmp_path / "run", finished / "checkpoint_0001.pt"
    begun = pretrain_small(data_root, folder, "--resume", first, epochs=2)
    assert f"going on from {first}" in begun.out
    again = pretrain_small(data_root, folder, "--resume", first)
    assert f"going on from {folder / 'checkpoint_0002.pt'}" in again.out
    ours, theirs = (checkpoint.load(checkpoint.newest(f)) for f in (folder, finished))
    assert all(torch.equal(ours["model"][name], w) for name, w in theirs["model"].items())


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        (["--lr", 0.001], "--lr is 0.001 here and was 0.0005"),
        (["--batch-size", 6], "--batch-size is 6 here and was 12"),
        (["--seed", 1], "--seed is 1 here and was 0"),
        (["--hidden-size", 16], "--hidden-size is 16 here and was 8"),
        (["--schedule", 1, 3], "--schedule is [1, 3] here and was [2]"),
        (["--amp", "bf16"], "--amp is bf16 here and was off"),
        (["--protocol", "cross_view"], "--protocol is cross_view here and was cross_subject"),
    ],
)
def test_other_settings_are_refused_by_name(data_root, finished, flags, name):
    before = sorted(finished.iterdir())
    refused = pretrain_small(data_root, finished, *flags, epochs=6)
    assert refused.code == 1
    assert refused.err.startswith(f"error: {name} in the run to go on from; take that")
    assert refused.err.count("\n") == 1 and "--resume-anyway" in refused.err
    assert sorted(finished.iterdir()) == before


def test_other_settings_are_taken_when_told(data_root, finished, tmp_path):
    flags = ["--resume", finished / "checkpoint_0002.pt", "--lr", 0.001, "--batch-size", 6]
    assert pretrain_small(data_root, tmp_path / "run", *flags).code == 1
    assert not (tmp_path / "run").exists()
    done = pretrain_small(data_root, tmp_path / "run", *flags, "--resume-anyway")
    assert done.code == 0
    assert "note: --lr is 0.001 here and was 0.0005" in done.out
    saved = checkpoint.load(checkpoint.newest(tmp_path / "run"))
    assert saved["epoch"] == EPOCHS and saved["settings"]["lr"] == 0.001
    # The rate of an epoch is that of the new settings: 0.001, and a tenth from epoch 2 on.
    assert saved["optimizer"]["param_groups"][0]["lr"] == pytest.approx(0.0001)


def test_a_model_of_another_size_is_refused_even_when_told(data_root, finished, tmp_path):
    flags = ["--resume", finished / "checkpoint_0002.pt", "--hidden-size", 16, "--resume-anyway"]
    refused = pretrain_small(data_root, tmp_path / "run", *flags)
    assert refused.code == 1
    assert refused.err.startswith("error: the checkpoint: encoder.")
    assert refused.err.count("\n") == 1


def test_other_data_are_refused(data_root, finished, tmp_path):
    from tests.tiny_store import write_store

    refused = pretrain_small(write_store(tmp_path / "other", seed=7), finished, epochs=6)
    assert refused.code == 1
    assert refused.err.startswith("error: the data's frames is ")


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


def test_sigterm_from_outside(data_root, tmp_path, start):
    child = start(tmp_path, pretraining(data_root, tmp_path / "run", "--epochs", 10_000))
    while not checkpoint.in_folder(tmp_path / "run"):
        assert not child.ended()
        time.sleep(0.01)
    child.kill(signal.SIGTERM)
    ended = child.wait()
    assert ended.code == 143 and ended.err == ""
    assert "stopped by SIGTERM" in ended.out
