"""The log of a run: means, non-finite numbers, and steps that fp16 skips."""

import numpy as np
import pytest
import torch

from common import UserError
from tests.runs import events
from tools.training.log import SKIPPED_IN_A_ROW, TrainingLog


@pytest.fixture
def log(store, tmp_path):
    with TrainingLog(tmp_path, store, total=9, done=2, is_main=True) as log:
        yield log


def add(log: TrainingLog, step: int, scalars: dict[str, float]) -> None:
    scalars = {"loss/total": 1.0} | scalars
    tensors = {name: torch.tensor(value) for name, value in scalars.items()}
    log.add(0, step, np.array([3, 5, 7, 9]), tensors)


def test_entries_are_means_over_the_steps_since_the_last(log, tmp_path):
    for step, total in enumerate((1.0, 2.0, 6.0)):
        add(log, step, {"loss/total": total})
    log.write(learning_rate=0.5)
    log.write()  # no new step, no entry
    add(log, 3, {"loss/total": 8.0})
    log.write(learning_rate=0.25)
    assert (log.latest["loss/total"], log.latest["train/learning_rate"]) == (8, 0.25)
    log.writer.flush()
    points = [(event.step, event.value) for event in events(tmp_path).Scalars("loss/total")]
    assert points == [(5, 3.0), (6, 8.0)]


def test_a_term_that_is_not_finite_is_named_with_its_step_and_clips(log, tmp_path):
    add(log, 0, {"loss/intra": 1.0})
    add(log, 1, {"loss/intra": np.inf})
    with pytest.raises(UserError) as raised:
        log.write()
    named = [log.store.names[row] for row in (3, 5, 7, 9)]
    assert "loss/intra" in str(raised.value) and "step 2" in str(raised.value)
    assert named[0] in str(raised.value)
    assert set(named) <= set((tmp_path / "broken_numbers.txt").read_text().splitlines())


def test_steps_that_fp16_skips_are_too_many_at_some_point(log):
    row = [1.0] * (SKIPPED_IN_A_ROW - 1)
    for step, skipped in enumerate([*row, 0.0, *row]):
        add(log, step, {"train/skipped": skipped})
        log.write()
    add(log, 99, {"train/skipped": 1.0})
    with pytest.raises(UserError, match="fp16"):
        log.write()
