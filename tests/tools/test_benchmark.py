"""The benchmark on tiny sizes: each stage has finite figures, and costs are what they must be."""

import json
import math

import pytest
import torch
from torch import nn

from tests.runs import call, succeed
from tools import benchmark

TINY = ["--hidden-size", "8", "--projector-width", "16", "--batch-size", "12", "--seconds", "0.01"]


def test_all_stages_are_measured(tmp_path):
    more = ("--subjects", 3, "--bank", 64, "--json", tmp_path / "out.json")
    printed = succeed(benchmark.main, *TINY, *more)
    content = json.loads((tmp_path / "out.json").read_text())
    stages = content["stages"]
    assert len(stages) >= 8 and len(content["network"]) == 7 + len(benchmark.METHODS)
    assert all(math.isfinite(row["seconds"]) and row["seconds"] > 0 for row in stages)
    assert stages[0]["clips"] == 3 * 3 * 16
    largest = [row for row in stages if "largest batch" in row["what"]]
    assert [row["clips"] for row in largest] == [12 + 2 - 1]
    assert sum(line.startswith("| ") for line in printed.splitlines()) == len(stages) + 7 + 6 + 4


def test_costs_are_those_of_the_published_sizes():
    args = benchmark.parse_args(["cost", "--hidden-size", "1024", "--batch-size", "256"])
    rows = {row["forward pass"]: row for row in benchmark.costs(args)}
    fused, umurl = rows["encoder, joint+bone+motion"], rows["pre-training, umurl"]
    assert fused["weights, M"] == pytest.approx(22.07, abs=0.01)
    assert umurl["weights, M"] == pytest.approx(22.07 + 50.38, abs=0.01)
    assert 1.5 < fused["GFLOP a clip"] < 2.6 and umurl["GFLOP a clip"] > 2 * fused["GFLOP a clip"]


def test_cost_counts_used_weights_and_operations_of_a_clip():
    module = nn.Linear(3, 5)
    module.unused = nn.Linear(3, 5)
    row = benchmark.cost("linear", module, torch.zeros(4, 3), clips=4)
    assert row["weights, M"] == 20e-6 and row["GFLOP a clip"] == pytest.approx(30e-9)


@pytest.mark.parametrize("flags", ["nothing", "--compile views", "--subjects 4 --data-path x"])
def test_wrong_flags(flags):
    ended = call(benchmark.main, *flags.split())
    assert ended.code == 2 and flags.split()[0] in ended.err.splitlines()[-1]
