"""The log of a run: means, steps that are told once, and numbers that break."""

import io
import math
import os
import socket
import sys
import time
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer.record_writer import RecordWriter

from feeder.store import open_store
from tests.tiny_store import write_store
from tools.training.logs import SKIPPED_IN_ROW, NonFinite, TrainingLog, describe, order_events


def place(clips: int = 2):
    return lambda: ("epoch 3, step 7", [f"clip{i}" for i in range(clips)])


def scalars(**values: float) -> dict[str, torch.Tensor]:
    values = {"total": 1.0, "intra": 0.5} | values
    return {f"loss/{name}": torch.tensor(value) for name, value in values.items()}


def points(folder, tag: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder)).Reload().Scalars(tag)
    return [(event.step, event.value) for event in events]


def test_entries_are_means_over_the_steps_since_the_last(tmp_path):
    with TrainingLog(tmp_path, 6, 0, is_main=True) as log:
        for total in (1.0, 2.0, 6.0):
            log.add(scalars(total=total), 4, place())
        log.write({"train/learning_rate": 0.5})
        log.write({})  # nothing new, no entry
        log.add(scalars(total=8.0), 4, place())
        log.write({"train/learning_rate": 0.25})
    assert log.latest["loss/total"] == 8 and log.latest["train/learning_rate"] == 0.25
    assert points(tmp_path, "loss/total") == [(3, 3.0), (4, 8.0)]
    assert points(tmp_path, "train/learning_rate") == [(3, 0.5), (4, 0.25)]


def test_only_the_main_process_writes(tmp_path, capsys):
    with TrainingLog(tmp_path, 6, 0, is_main=False) as log:
        log.add(scalars(), 4, place())
        log.write({})
        log.flush()
        log.epoch_done(1, 2)
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("first", [0, 2, 3])
def test_steps_done_again_replace_those_of_the_run_before(tmp_path, monkeypatch, first):
    """Though the runs follow each other at once, and by name of machine the other way round."""
    for run, start in enumerate((0, first, first)):
        monkeypatch.setattr(socket, "gethostname", lambda name="zyx"[run]: name)
        with TrainingLog(tmp_path, 9, start, is_main=True) as log:
            if start == 0:
                log.writer.add_scalar("loss/total", run, 0)
            for step in range(start + 1, 6 - run):
                log.add(scalars(total=10 * run + step), 4, place())
                log.write({})
    before = [(0, 2)] if first == 0 else [(0, 0)]
    steps = [(s, s if s <= first else 20 + s) for s in range(1, 4)]
    assert points(tmp_path, "loss/total") == before + steps


def test_what_was_written_is_in_the_file_after_a_flush(tmp_path, monkeypatch):
    real = RecordWriter.write

    def slow(self, data):
        time.sleep(0.05)
        real(self, data)

    monkeypatch.setattr(RecordWriter, "write", slow)
    with TrainingLog(tmp_path, 9, 0, is_main=True) as log:
        log.add(scalars(total=5.0), 4, place())
        log.write({})
        log.flush()
        assert points(tmp_path, "loss/total") == [(1, 5.0)]


@pytest.mark.parametrize("back", [0, 3, 9999])
def test_points_of_a_run_that_goes_on_show_though_the_clock_was_set_back(
    tmp_path, monkeypatch, back
):
    clock, real = [0.0], time.time
    monkeypatch.setattr(time, "time", lambda: real() - clock[0])
    (tmp_path / "events.out.tfevents.old.host").touch()
    for run in range(3):
        with TrainingLog(tmp_path, 9, 2 * run, is_main=True) as log:
            for step in range(2 * run + 1, 2 * run + 3):
                log.add(scalars(total=float(step)), 4, place())
                log.write({})
        clock[0] += back
    assert points(tmp_path, "loss/total") == [(step, float(step)) for step in range(1, 7)]


def test_files_of_events_keep_their_order_when_they_are_renamed(tmp_path, monkeypatch):
    names = ["0000000095.b.1", "0000000100.a.2", "0000000100.z.1", "0000000103.c.1"]
    for name in names:
        (tmp_path / f"events.out.tfevents.{name}").write_text(name)
    order, rename = [], Path.rename

    def watched(self, target):
        rename(self, target)
        order.append([path.read_text() for path in sorted(tmp_path.iterdir())])

    monkeypatch.setattr(Path, "rename", watched)
    order_events(tmp_path, now=101)
    assert order == [names] * len(order)
    assert max(path.name for path in tmp_path.iterdir()) < "events.out.tfevents.0000000101"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("is_main", [True, False])
def test_a_broken_term_is_named_with_its_step_and_clips(tmp_path, value, is_main):
    with TrainingLog(tmp_path, 9, 0, is_main=is_main) as log:
        log.add(scalars(), 4, lambda: ("another step", []))
        log.add(scalars(intra=value), 1024, place(1024))
        log.add(scalars(total=math.nan), 4, lambda: ("a later step", []))
        with pytest.raises(NonFinite) as raised:
            log.write({})
    file, line = tmp_path / "broken_numbers.txt", str(raised.value)
    assert line.startswith(
        f"loss/intra is {value} in epoch 3, step 7, clips clip0, clip1, clip2 (all 1024 in {file})"
    )
    assert len(line) < 400 and "\n" not in line
    assert file.exists() == is_main
    if is_main:
        told = file.read_text().splitlines()
        assert told[:2] == ["epoch 3, step 7", f"loss/intra is {value}"]
        assert told[-1024:] == [f"clip{i}" for i in range(1024)]
        assert not EventAccumulator(str(tmp_path)).Reload().Tags()["scalars"]


def test_the_part_is_named_rather_than_the_total(tmp_path):
    with TrainingLog(tmp_path, 9, 0, is_main=True) as log:
        log.add(scalars(total=math.nan, covariance=math.nan), 4, place())
        with pytest.raises(NonFinite, match=r"^loss/covariance is nan in epoch 3"):
            log.write({})
    assert (
        "loss/total is nan\nloss/covariance is nan" in (tmp_path / "broken_numbers.txt").read_text()
    )


def test_steps_that_fp16_skips_are_counted_until_they_are_too_many(tmp_path):
    def step(skipped: float) -> dict[str, torch.Tensor]:
        return scalars() | {"train/skipped": torch.tensor(skipped)}

    with TrainingLog(tmp_path, 999, 0, is_main=True) as log:
        for skipped in [1.0] * (SKIPPED_IN_ROW - 1) + [0.0]:
            log.add(step(skipped), 4, place())
            if log.step % 8 == 0:
                log.write({})
        log.flush()
        assert [value for _, value in points(tmp_path, "train/skipped")] == [1, 1, 1, 7 / 8]
        for _ in range(SKIPPED_IN_ROW):
            log.add(step(1.0), 4, place())
        with pytest.raises(NonFinite, match=r"^fp16 overflowed in 32 steps in a row in epoch 3"):
            log.write({})


@pytest.mark.parametrize(
    ("first", "amp", "mend"),
    [
        (0, False, "weights of the loss"),
        (0, True, "--amp off"),
        (1, False, "--lr"),
        (1, True, "--lr"),
    ],
)
def test_only_what_can_be_the_cause_is_named(tmp_path, first, amp, mend):
    with TrainingLog(tmp_path, 9, 0, is_main=True, amp=amp) as log:
        for step in range(first + 1):
            log.add(scalars(total=math.nan if step == first else 1.0), 4, place())
        with pytest.raises(NonFinite) as raised:
            log.write({})
    told = str(raised.value)
    assert mend in told
    assert ("--lr" in told, "--amp" in told) == (first > 0, amp)


def test_clips_with_broken_coordinates_are_marked(tmp_path):
    store = open_store(write_store(tmp_path, clips=12), "ntu60")
    store.joints[store.start[5] + 1, 1, 24, 2] = math.inf
    where, clips = describe(store, [4, 5, 6], epoch=0, step=2)
    assert where == "epoch 1, step 3"
    assert clips == [
        store.names[4],
        f"{store.names[5]} (coordinates are not finite)",
        store.names[6],
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return os.open(os.devnull, os.O_RDONLY)


def test_a_terminal_has_a_bar_and_others_have_lines(tmp_path, monkeypatch, capsys):
    for terminal in (Terminal(), None):
        if terminal:
            monkeypatch.setattr(sys, "stderr", terminal)
        else:
            monkeypatch.undo()
        with TrainingLog(tmp_path / str(bool(terminal)), 2, 0, is_main=True) as log:
            for _ in range(2):
                log.add(scalars(total=2.5), 4, place())
                log.write({})
            log.epoch_done(1, 1)
        out = capsys.readouterr().out
        if terminal:
            assert "2/2" in terminal.getvalue() and out == ""
            assert terminal.getvalue().endswith("\n")  # what comes next has a line of its own
        else:
            assert out.startswith("epoch 1/1  loss 2.500  ")
