"""A run that is stopped or killed continues, with the results of a run without interruption."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
import torch

import pretrain
from feeder.datasets import NTU_DATASETS
from tests.runs import Outcome, call, events, pretraining, start_pretraining
from tests.tiny_store import write_store
from tools.training import checkpoint
from tools.training.log import TrainingLog

EPOCHS, STEPS = 4, 2  # of the runs inside this process: 24 training clips by 12


def assert_same_weights(ours: dict, theirs: dict) -> None:
    for part in ("model", "optimizer"):
        torch.testing.assert_close(ours[part], theirs[part], rtol=0, atol=0)


def assert_same_run(folder: Path, reference: Path) -> None:
    """Assert that two runs have the same newest checkpoint, bit by bit, and the same curves."""
    ours, theirs = (checkpoint.load(checkpoint.newest(f)) for f in (folder, reference))
    assert all(ours[part] == theirs[part] for part in ("epoch", "step", "data", "scaler"))
    assert_same_weights(ours, theirs)
    assert curves(folder) == curves(reference)


def curves(folder: Path) -> dict[str, list[tuple[int, object]]]:
    """The points and pictures of a run in TensorBoard, without those that depend on time."""
    run = events(folder)
    tags = set(run.Tags()["scalars"]) - {"train/clips_per_second"}
    points = {tag: [(e.step, e.value) for e in run.Scalars(tag)] for tag in tags}
    for tag in run.Tags()["images"]:
        points[tag] = [(e.step, e.encoded_image_string) for e in run.Images(tag)]
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


@pytest.mark.parametrize(
    ("last", "number"), [(1, signal.SIGTERM), (4, signal.SIGINT), (5, signal.SIGTERM)]
)
def test_a_signal_saves_after_any_step(data_root, finished, tmp_path, monkeypatch, last, number):
    interrupt(monkeypatch, last, by=lambda: os.kill(os.getpid(), number))
    stopped = pretrain_small(data_root, tmp_path / "run", "--save-every", 50)
    assert (stopped.code, stopped.err) == (128 + number, "")
    saved = checkpoint.load(checkpoint.newest(tmp_path / "run"))
    assert (saved["epoch"], saved["step"]) == divmod(last, STEPS)
    assert pretrain_small(data_root, tmp_path / "run", "--save-every", 50).code == 0
    assert_same_run(tmp_path / "run", finished)


def test_crashes_leave_no_trace_in_curves_and_pictures(data_root, tmp_path, monkeypatch):
    monitored = ("--monitor-every", 1)
    assert pretrain_small(data_root, tmp_path / "whole", *monitored, epochs=3).code == 0

    interrupt(monkeypatch, 1, 5, 6, by=mock.Mock(side_effect=Crash))
    for _ in range(3):
        with pytest.raises(Crash):
            pretrain_small(data_root, tmp_path / "run", *monitored, epochs=3)
    for epochs in (2, 3, 3):  # a finished run continues when it is made longer
        assert pretrain_small(data_root, tmp_path / "run", *monitored, epochs=epochs).code == 0
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    assert [step for step, _ in curves(tmp_path / "run")["monitor/views"]] == [0, 2, 4, 6]


def test_a_damaged_checkpoint_is_named_and_the_one_before_taken(data_root, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    path = checkpoint.newest(tmp_path / "run")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    again = pretrain_small(data_root, tmp_path / "run", "--keep", 9)
    assert again.code == 0 and str(path) in again.out
    assert_same_run(tmp_path / "run", finished)


def test_a_named_checkpoint_begins_another_run(data_root, finished, tmp_path):
    named = checkpoint.path_of(finished, 2)
    for _ in range(2):  # the second time the folder's own checkpoint is taken
        assert pretrain_small(data_root, tmp_path / "run", "--resume", named).code == 0
    folders = (tmp_path / "run", finished)
    assert_same_weights(*(checkpoint.load(checkpoint.newest(folder)) for folder in folders))


@pytest.mark.parametrize(
    ("flag", "value", "anyway"), [("--lr", 1e-3, 0), ("--yaw", 10, 0), ("--hidden-size", 16, 1)]
)
def test_other_settings_are_refused_by_name(data_root, finished, tmp_path, flag, value, anyway):
    shutil.copytree(finished, tmp_path / "run")
    refused = pretrain_small(data_root, tmp_path / "run", flag, value, epochs=6)
    assert refused.code == 1 and flag in refused.err and "--resume-anyway" in refused.err
    taken = pretrain_small(data_root, tmp_path / "run", flag, value, "--resume-anyway", epochs=6)
    assert taken.code == anyway, taken.err


def test_other_data_are_refused(finished, tmp_path):
    refused = pretrain_small(write_store(tmp_path, seed=7), finished, epochs=6)
    assert refused.code == 1 and "data:" in refused.err


def test_the_same_recordings_prepared_in_another_way_are_refused(tmp_path):
    root = write_store(tmp_path / "data")
    for unit in ("m", "m", "cm"):  # begins, continues, is refused
        own = replace(NTU_DATASETS["ntu60"], alignment="upright", reading={"unit": unit})
        (root / "ntu60" / "store.json").write_text(own.to_json())
        done = pretrain_small(root, tmp_path / "run", epochs=1 + (unit == "cm"))
        assert done.code == (unit == "cm"), done.err
    assert "unit is cm and was m" in done.err


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


def test_two_runs_in_one_folder(data_root, tmp_path):
    flags = pretraining(data_root, tmp_path / "run", "--epochs", 10_000)
    first = start_pretraining(flags, tmp_path / "stderr")
    while not checkpoint.in_folder(tmp_path / "run"):
        assert first.is_alive()
        time.sleep(0.01)
    second = call(pretrain.main, *flags)
    first.kill()
    first.join()
    assert second.code == 1 and str(tmp_path / "run") in second.err


@pytest.mark.parametrize(
    ("kills", "epochs"), [(20, 6), pytest.param(300, 30, marks=pytest.mark.slow)]
)
def test_killed_at_random_moments(data_root, tmp_path, kills, epochs):
    """Runs that are killed, started again and killed again end as one that nothing interrupted."""
    rng, amid_writing, left_over, number = random.Random(0), 0, kills, 0
    whole = pretraining(data_root, tmp_path / "whole", "--epochs", epochs)
    began = time.monotonic()
    start_pretraining(whole, tmp_path / "stderr").join()
    lasts = time.monotonic() - began
    while left_over:
        run, number = tmp_path / f"killed_{number}", number + 1
        flags, code = pretraining(data_root, run, "--epochs", epochs), -signal.SIGKILL
        while code:  # the last start of each run ends by itself
            process = start_pretraining(flags, tmp_path / "stderr")
            if left_over:
                wait_for(process, run, rng, lasts)
                process.kill()
            process.join()
            code = process.exitcode
            assert code in (0, -signal.SIGKILL) and (tmp_path / "stderr").read_text() == ""
            left_over -= code != 0
            amid_writing += bool(list(run.glob("*.part")))
        assert not list(run.glob("*.part"))
        assert_same_run(run, tmp_path / "whole")
    assert amid_writing >= kills // 10


def wait_for(process, run: Path, rng: random.Random, lasts: float) -> None:
    """Until a random moment of a run, or until it writes: the first, second or third checkpoint."""
    moment, wanted = time.monotonic() + rng.uniform(0, lasts), rng.choice((1, 2, 3, None, None))
    seen = set()
    while process.is_alive():
        seen |= set(run.glob("*.part"))
        if len(seen) == wanted if wanted else time.monotonic() > moment:
            return
        time.sleep(0.0005)
