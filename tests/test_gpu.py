"""What a GPU computes, beside what is known: `python -m pytest -m gpu` prints it as one table.

Each check takes a device. The ordinary tests run it on a CPU, so that it works where a GPU is.
"""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from feeder.batches import TrainingBatches, resident_frames, shares
from feeder.store import open_store
from net.losses import umurl_loss
from net.umurl import UmURL
from tests.ranks import run_ranks
from tools.benchmark.counting import Counting
from tools.benchmark.emulation import LEAST_TORCH
from tools.benchmark.prediction import Setting, counted_step
from tools.benchmark.step import Given, random_views, stepper
from tools.evaluation.neighbors import nearest
from tools.formats import checkpoint
from tools.training import distributed
from tools.training.compiling import compiled
from tools.training.distributed import Process
from tools.training.run import pretrain
from tools.training.settings import Settings
from tools.training.step import AMP, Training, training_step

CPU = torch.device("cpu")
GPUS = torch.cuda.device_count()
BATCH = 24


def devices(gpus: int, *cpu_marks: pytest.MarkDecorator) -> pytest.MarkDecorator:
    """Run a test on a GPU, where there are so many, and on a CPU."""
    missing = pytest.mark.skipif(gpus > GPUS, reason=f"needs {gpus} GPU{'s' * (gpus > 1)}")
    gpu = pytest.param("cuda", marks=[pytest.mark.gpu, missing], id="gpu")
    cpu = pytest.param("cpu", marks=cpu_marks, id="cpu")
    return pytest.mark.parametrize("device", [gpu, cpu], indirect=True)


one_device = devices(1)


@pytest.fixture
def device(request) -> torch.device:
    return torch.device(request.param, 0) if request.param == "cuda" else CPU


@pytest.fixture
def hold(record_property):
    """Assert that what was measured is no more than what is allowed, and tell the table."""

    def compare(what: str, measured: float, allowed: float) -> None:
        record_property("compared", [what, float(measured), float(allowed)])
        assert measured <= allowed, what

    return compare


def gradients(model: UmURL, views: Tensor, amp: torch.dtype | None, network=None) -> dict:
    """Loss and gradients of a training step that leaves the weights as they are."""
    device = views.device
    optimizer = torch.optim.Adam(model.parameters())
    scaler = torch.amp.GradScaler(device.type, 2.0**10, enabled=amp is torch.float16)
    process = Process(0, 1, device)
    training = Training(network or model, umurl_loss, optimizer, scaler, amp, process)
    scalars = training_step(training, Given(views, [views.shape[1]]), 0.0)
    found = [p.grad.double().cpu().flatten() for p in model.parameters()]
    return {"loss": scalars["loss/total"].double().cpu(), "gradients": torch.cat(found)}


def apart(ours: Tensor, theirs: Tensor) -> float:
    """Their distance, as a part of the length of the second one."""
    ours, theirs = ours.double().cpu(), theirs.double().cpu()
    return (torch.linalg.vector_norm(ours - theirs) / torch.linalg.vector_norm(theirs)).item()


@pytest.fixture(scope="module")
def exact() -> tuple[UmURL, Tensor, dict]:
    """A model, views, and loss and gradients in double precision on the CPU."""
    torch.manual_seed(0)
    model, views = UmURL(64, projector_width=96), random_views(BATCH, CPU)
    return model, views, gradients(copy.deepcopy(model).double(), views.double(), None)


# At the first weights a rounded maximum picks another token: half precision is far off there.
@one_device
@pytest.mark.parametrize(
    ("amp", "loss", "gradient"), [("off", 1e-5, 1e-3), ("fp16", 1e-3, 0.2), ("bf16", 5e-3, 0.5)]
)
def test_a_step(device, exact, hold, amp, loss, gradient):
    model, views, expected = exact
    model = copy.deepcopy(model).to(device)
    found = gradients(model, views.to(device), AMP[amp])
    hold(f"loss of a step, {amp}, relative error", apart(found["loss"], expected["loss"]), loss)
    error = apart(found["gradients"], expected["gradients"])
    hold(f"gradients of a step, {amp}, relative error", error, gradient)


@one_device
def test_resident_and_streamed(device, data_root, hold):
    store = open_store(data_root, "ntu60")

    def views(device: torch.device, resident: bool) -> Tensor:
        frames = resident_frames(store, device) if resident else None
        rows = np.arange(len(store.names))
        batch = next(TrainingBatches(store, rows, BATCH, 0, device, frames).epoch(0))
        return batch.views().cpu()

    resident, streamed, expected = views(device, True), views(device, False), views(CPU, True)
    hold("views, resident against streamed, metres", (resident - streamed).abs().max(), 0)
    hold("views, against a CPU's, metres", (resident - expected).abs().max(), 1e-4)


def step_on_a_rank(process: Process) -> dict:
    """The gradients of this rank in double precision."""
    torch.manual_seed(0)
    model = UmURL(16, projector_width=24).double()
    views, parts = random_views(BATCH + 1, CPU), shares(BATCH + 1, process.world_size)
    first = sum(parts[: process.rank])
    mine = views[:, first : first + parts[process.rank]].double().to(process.device)
    model = model.to(process.device)
    network = distributed.parallel(model, process)
    stepper(model, process, None, network)(Given(mine, parts))
    found = [p.grad.cpu().flatten() for p in model.parameters()]
    return {"gradients": torch.cat(found), "device": process.device.type}


@devices(2, pytest.mark.slow)
def test_two_ranks(device, hold):
    ranks = run_ranks(2, step_on_a_rank, on_gpus=device.type == "cuda")
    assert {rank["device"] for rank in ranks} == {device.type}
    whole = step_on_a_rank(Process(0, 1, CPU))["gradients"]
    for number, rank in enumerate(ranks):
        hold(f"gradients of rank {number} of 2", apart(rank["gradients"], whole), 1e-7)


@one_device
def test_resume(device, data_root, tmp_path, hold):
    store, process = open_store(data_root, "ntu60"), Process(0, 1, device)
    settings = Settings(
        pre_dataset="ntu60", hidden_size=16, projector_width=24, batch_size=12, amp="off"
    )
    settings = replace(settings, data_root=str(data_root), no_compile=True, monitor_every=0)

    def weights(folder: Path, *epochs: int) -> Tensor:
        for number in epochs:
            assert pretrain(
                replace(settings, checkpoint_path=folder, epochs=number), store, process
            )
        saved = checkpoint.load(checkpoint.newest(folder))
        assert (saved["epoch"], saved["step"]) == (epochs[-1], 0)
        return torch.cat([x.flatten().double() for x in saved["model"].values()])

    whole, parts = weights(tmp_path / "whole", 3), weights(tmp_path / "parts", 1, 3)
    hold("weights of a continued run", apart(parts, whole), 0 if device == CPU else 1e-3)


@one_device
def test_compiled(device, exact, hold):
    from torch._dynamo.utils import counters

    model, views, expected = exact
    torch._dynamo.reset()
    counters.clear()
    model = copy.deepcopy(model).to(device)
    network = compiled(model, 1, "eager" if device == CPU else "inductor")
    for clips in (BATCH, BATCH - 5, BATCH):
        found = gradients(model, views[:, :clips].contiguous().to(device), None, network)
    hold("gradients of a compiled step", apart(found["gradients"], expected["gradients"]), 1e-3)
    hold("graphs for batches of two sizes", counters["stats"]["unique_graphs"], 1)
    hold("breaks of the graph", len(counters["graph_break"]), 0)


@one_device
def test_neighbors(device, hold):
    rng = np.random.default_rng(0)
    database, queries = (rng.normal(size=(n, 64)).astype(np.float32) for n in (3000, 500))
    brute = NearestNeighbors(n_neighbors=5, algorithm="brute", metric="cosine").fit(database)
    distances, _ = brute.kneighbors(queries)
    rows = (torch.from_numpy(x).to(device) for x in (queries, database))
    similarities, _ = nearest(*rows, 5)
    error = np.abs(similarities.cpu().numpy() - (1 - distances)).max()
    hold("similarities of neighbors, against scikit-learn's", error, 1e-5)


@pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < LEAST_TORCH, reason="torch is too old"
)
@one_device
def test_memory(device, hold):
    """The peak of a step against its prediction; a CPU's is counted, a GPU's is measured."""
    sizes, amp = ((32, 1, 1), None) if device == CPU else ((512, 1, 1), torch.bfloat16)
    setting = Setting(sizes, width=4 * sizes[0], batch=8 * BATCH, amp=amp)
    predicted = counted_step(setting).peak
    model = UmURL(*sizes, setting.width).to(device)
    step = stepper(model, Process(0, 1, device), amp)
    given = Given(random_views(setting.batch, device), [setting.batch])
    step(given)  # makes Adam's state and the libraries' workspaces
    if device == CPU:
        moments = 2 * 4 * sum(p.numel() for p in model.parameters())
        model.zero_grad()
        with Counting(device) as counting:
            counting.hold([*model.parameters(), given.given])
            step(given)
        peak = counting.peak + moments
    else:
        torch.cuda.reset_peak_memory_stats(device)
        step(given)
        torch.cuda.synchronize(device)
        peak = torch.cuda.max_memory_allocated(device)
    # A GPU's libraries take some MiB more.
    allowed = 0.05 if device == CPU else 0.1
    hold("peak memory, predicted against measured", abs(predicted / peak - 1), allowed)
