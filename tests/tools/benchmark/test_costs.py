"""What the network costs: the published figures, and what each set of modalities uses."""

import time
from functools import partial

import pytest
import torch

from net.encoder import Encoder
from tools.benchmark import costs

PUBLISHED = (1024, 1, 1, 4096)


def test_a_slow_measurement_is_cut_short_and_a_quick_one_is_not(monkeypatch):
    """Two runs at least, since the first is to warm up."""
    monkeypatch.setattr(costs, "ENOUGH", 0.02)
    runs = []
    for duration, most in ((0.03, 2), (0.0, 12)):
        runs.clear()
        run = partial(time.sleep, duration)
        costs.seconds(lambda run=run: runs.append(run()), 10, torch.device("cpu"))
        assert len(runs) == most


@pytest.fixture(scope="module")
def table():
    return {cost.what: cost for cost in costs.of_network(*PUBLISHED)}


def test_the_published_figures(table):
    fused, forward = table["joint + bone + motion"], table["pre-training, forward"]
    assert f"{fused.parameters / 1e6:.2f}" == "22.07"
    assert f"{(forward.parameters - fused.parameters) / 1e6:.2f}" == "50.38"
    assert f"{(fused.operations - fused.attention) / 1e9:.2f}" == "2.51"
    assert f"{(forward.operations - forward.attention) / 1e9:.2f}" == "7.85"


def test_operations_are_those_of_the_matrix_products(table):
    """Counted by hand, for one modality and for two."""
    h, t, s = 1024, 64, 50  # width, temporal and spatial tokens
    embedding = t * (150 * h + h * h) + s * (192 * h + h * h)
    transformer = (t + s) * 6 * h * h  # queries, keys, values, output, two layers
    attention = 2 * (t * t + s * s) * h
    assert table["bone"].attention == 2 * attention
    assert table["bone"].operations == 2 * (embedding + transformer + attention)
    fused = 2 * embedding + (t + s) * h * h + transformer + attention
    assert table["joint + motion"].operations == 2 * fused


def test_a_step_costs_up_to_three_times_its_forward(table):
    forward, step = table["pre-training, forward"], table["pre-training, step"]
    assert 2.9 < step.operations / forward.operations < 3
    assert step.parameters == forward.parameters


def test_parameters_are_those_that_take_part(table):
    encoder = Encoder(1024)
    for names in costs.SETS:
        used = 0
        for key, weight in encoder.named_parameters():
            other = "embeddings" in key and not any(f".{name}." in key for name in names)
            used += 0 if other or ("fusion" in key and len(names) == 1) else weight.numel()
        assert table[" + ".join(names)].parameters == used
