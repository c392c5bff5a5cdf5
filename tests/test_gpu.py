"""What GPUs compute against a CPU: `python -m pytest -m gpu`. The CPU cases show that it runs.

At the first weights a rounded maximum picks another token, and Adam makes full steps of gradients
that are only rounding. So half precision is compared by the loss along 20 steps alone.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

import pretrain
from feeder.batches import TrainingBatches, resident_frames
from feeder.store import open_store
from net.encoder import Encoder
from tests.runs import curves, pretraining, run_ranks
from tools.evaluation.features import extract_features
from tools.evaluation.neighbors import nearest
from tools.training import checkpoint

GPUS = torch.cuda.device_count()
# Greatest relative difference of a loss in 20 steps to the CPU's float32.
TOLERANCES = {"off": 1e-3, "bf16": 5e-2, "fp16": 2e-2}


def gpus(number: int):
    missing = pytest.mark.skipif(number > GPUS, reason=f"needs {number} GPUs")
    return pytest.param(number, marks=[pytest.mark.gpu, missing], id=f"{number} GPUs")


def flags(data_root: Path, folder: Path, *more: object) -> list[str]:
    own = ("--epochs", 10, "--hidden-size", 64, "--projector-width", 96, "--save-every", 5)
    return pretraining(data_root, folder, *own, *more)


def train(ranks: int, arguments: list[str]) -> None:
    """Pre-train on GPUs that the user lets this process see, or on the CPU if there is none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(GPUS))))
    run_ranks(ranks, pretrain.main, arguments, environment={"CUDA_VISIBLE_DEVICES": visible})


@pytest.fixture(scope="module")
def expected(data_root, tmp_path_factory) -> np.ndarray:
    """The losses of a run on a CPU, (20,)."""
    folder = tmp_path_factory.mktemp("cpu") / "run"
    run_ranks(1, pretrain.main, flags(data_root, folder, "--amp", "off"))
    return np.array(curves(folder)["loss/total"])


CPU = [pytest.param(0, id="CPU")]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("amp", TOLERANCES)
@pytest.mark.parametrize("ranks", [gpus(1), gpus(2)])
def test_trajectory(data_root, expected, tmp_path, ranks, amp, compiled):
    train(ranks, flags(data_root, tmp_path, "--amp", amp, *["--compile"] * compiled))
    losses = np.array(curves(tmp_path)["loss/total"])
    error = np.abs(losses / expected - 1).max()
    print(f"{ranks} GPUs, {amp}, compile {compiled}: {error:.1e} of {TOLERANCES[amp]:.0e}")
    assert len(losses) == 20 and error < TOLERANCES[amp]


@pytest.mark.parametrize("ranks", [gpus(1), *CPU])
def test_resume(data_root, tmp_path, ranks):
    train(max(ranks, 1), flags(data_root, tmp_path / "whole"))
    for epochs in (5, 10):
        train(max(ranks, 1), flags(data_root, tmp_path / "parts", "--epochs", epochs))
    newest = (checkpoint.newest(tmp_path / name) for name in ("whole", "parts"))
    whole, parts = (checkpoint.load(path)["model"] for path in newest)
    tolerance = 1e-3 if ranks else 0
    torch.testing.assert_close(parts, whole, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("count", [gpus(1), *CPU])
def test_resident_and_streamed_views_are_those_of_the_cpu(data_root, count):
    device = torch.device("cuda" if count else "cpu")
    store = open_store(data_root, "ntu60")
    rows = np.arange(len(store.names))

    def views(device: torch.device, resident: bool) -> torch.Tensor:
        frames = resident_frames(store, device) if resident else None
        batches = TrainingBatches(store, rows, 24, 0, device, frames=frames, workers=2)
        return torch.stack([batch.views().cpu() for batch in batches.epoch(0)])

    resident, streamed = views(device, True), views(device, False)
    expected = views(torch.device("cpu"), True)
    assert torch.equal(resident, streamed)
    torch.testing.assert_close(resident, expected, rtol=0, atol=1e-4)  # metres


@pytest.mark.parametrize("count", [gpus(1)])
def test_evaluation(data_root, count):
    store, encoder = open_store(data_root, "ntu60"), Encoder(64).eval()
    rows = np.arange(len(store.names))
    expected = extract_features(encoder, store, rows)
    features = extract_features(encoder.to("cuda"), store, rows)
    torch.testing.assert_close(features.cpu(), expected, rtol=1e-3, atol=1e-3)
    ours, theirs = (nearest(bank, bank, 5)[0].cpu() for bank in (features, expected))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
