"""Evaluation on an emulated GPU: every device and type fits, and steps do not wait for it."""

from dataclasses import replace

import pytest
import torch

from net import MODALITIES
from net.encoder import Encoder
from tools.benchmark import inputs
from tools.benchmark.emulation import LEAST_TORCH, emulated_gpu, on_gpu
from tools.evaluation import learners
from tools.evaluation.features import Halves, encode, open_halves
from tools.evaluation.recognition import finetune, linear_evaluation
from tools.evaluation.retrieval import retrieve
from tools.evaluation.settings import FINETUNE, LINEAR

pytestmark = pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < LEAST_TORCH, reason="torch is too old"
)
STREAMS = [(MODALITIES,), tuple((modality,) for modality in MODALITIES)]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Halves:
    return open_halves(inputs.random_store(tmp_path_factory.mktemp("store"), 48), "cross_subject")


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("streams", STREAMS)
def test_features_linear_evaluation_and_retrieval(data, streams, heads):
    with emulated_gpu() as gpu:
        encoder = on_gpu(Encoder(16, heads).eval())
        gpu.truth = True  # all numbers are finite
        features = encode(encoder, data, streams)
        for half, rows in ((features.train, data.train), (features.test, data.test)):
            assert (half.dtype, half.device) == (torch.float32, gpu.device)
            assert half.shape == (len(streams), len(rows), 32)
        (run,) = linear_evaluation(features, replace(LINEAR, epochs=2, schedule=()))
        assert run.tests[-1]["epoch"] == 2
        gpu.truth = False  # no two clips are equally near
        if len(streams) == 1:
            (found,) = retrieve(features, (1, 3))
            assert found.seed == 0


def waits_of_fine_tuning(data, monkeypatch, batch: int) -> list[str]:
    """Where an epoch of fine-tuning waits, a test at its end included."""
    batches = learners.TrainingBatches
    monkeypatch.setattr(
        learners, "TrainingBatches", lambda *a, **k: batches(*a, **k | {"workers": 0})
    )  # whose threads would not see the emulated GPU
    monkeypatch.setattr(learners, "deepcopy", lambda encoder: encoder)
    monkeypatch.setattr(learners, "LEAST_STEPS", 1)
    settings = replace(FINETUNE, epochs=1, schedule=(), batch_size=batch)
    with emulated_gpu() as gpu:
        gpu.truth = True
        encoder = on_gpu(Encoder(16))
        gpu.waits.clear()
        finetune(encoder, data, STREAMS[0], settings)
    monkeypatch.undo()
    return gpu.waits


def test_fine_tuning_waits_in_no_step(data, monkeypatch):
    few, many = (waits_of_fine_tuning(data, monkeypatch, batch) for batch in (12, 2))
    assert few == many
