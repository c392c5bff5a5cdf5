"""The benchmark at toy size, and the facts about cost that need no clock."""

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from feeder.batches import Batch, TrainingBatches, resident_frames
from net.encoder import Encoder
from net.losses import umurl_loss
from net.umurl import UmURL
from tests.literal import model as literal
from tools.benchmark import evaluation, inputs, products
from tools.benchmark.sizes import SIZES
from tools.benchmark.step import Given, random_views, stepper
from tools.evaluation.neighbors import nearest
from tools.evaluation.settings import LINEAR
from tools.training.distributed import Process

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What the whole benchmark prints and writes at toy size."""
    out = tmp_path_factory.mktemp("benchmark") / "figures.json"
    command = [sys.executable, "-m", "tools.benchmark", "all", "--size", "toy", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(out.read_text())


def test_every_stage_is_measured_and_printed(run):
    printed, figures = run
    stages = [name for name, _ in itertools.groupby(row["stage"] for row in figures["rows"])]
    assert stages == [
        "preprocess",
        "input",
        "step",
        "training",
        "methods",
        "shortcuts",
        "linear",
        "knn",
        "scale",
    ]
    for row in figures["rows"]:
        line = next(
            x for x in printed.splitlines() if x.startswith(row["stage"]) and row["case"] in x
        )
        assert "clips" not in row or row["clips"] > 0, line
        assert row["seconds"] > 0
        assert row["clips_per_second"] == pytest.approx(row["clips"] / row["seconds"])


def test_the_literal_version_is_measured_beside_this_one(run):
    _, figures = run
    beside = [row for row in figures["rows"] if row["literal_seconds"]]
    stages = {"preprocess", "input", "step", "shortcuts", "linear", "knn"}
    assert {row["stage"] for row in beside} == stages
    for row in beside:
        assert row["ratio"] == pytest.approx(row["literal_seconds"] / row["seconds"])
        if sys.platform == "linux":
            assert row["peak_mib"] is not None and row["literal_peak_mib"] is not None


def test_the_promised_figures_are_there(run):
    _, figures = run
    rows = {
        stage: [r for r in figures["rows"] if r["stage"] == stage]
        for stage in ("step", "training", "linear", "knn", "scale")
    }
    for row in rows["step"]:
        assert row["times_products"] == pytest.approx(row["seconds"] / row["products_seconds"])
    for row in rows["training"]:
        assert {"data_share_resident", "data_share_streamed"} <= row.keys()
        assert row["tflop_per_s"] > 0 and row["share_of_matrix_product"] > 0
        hours = [value for key, value in row.items() if key.startswith("hours_")]
        assert len(hours) == 4 and min(hours) > 0
    assert rows["linear"][0]["literal_extrapolated_from_epochs"] == SIZES["toy"].literal_epochs
    assert rows["linear"][0]["greatest_difference_of_features"] < 1e-4
    assert rows["knn"][0]["identical"]
    assert sum(row["times_the_first"] == 1 for row in rows["scale"]) == 7


def test_a_missing_literal_version_is_one_line(tmp_path):
    package = tmp_path / "copy"
    package.mkdir()
    for name in ("tools", "data_gen", "feeder", "net", "pretrain.py", "action_classification.py"):
        (package / name).symlink_to(ROOT / name)
    program = "from tools.benchmark.inputs import literal; from tools import cli; "
    program += "cli.run(lambda: literal('model'))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=package, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: tests/literal") and done.stderr.count("\n") == 1


# ---------------------------------------------------------------- what is compared is the same


def test_the_literal_model_takes_our_weights_and_gives_our_loss():
    torch.manual_seed(0)
    model, theirs = UmURL(8, projector_width=16).double(), literal.UmURL(8, width=16).double()
    left = theirs.load_state_dict(inputs.literal_weights(model.state_dict()), strict=False)
    assert left.missing_keys == ["backbone.ma_encoder.pe.pe"] and not left.unexpected_keys
    views = random_views(6, CPU).double()
    unimodal, fused, _ = model(views)
    expected = literal.umurl_loss(*theirs(*map(inputs.literal_view, views)))[-1]
    torch.testing.assert_close(umurl_loss(unimodal, fused)["total"], expected)


def operations(call: Callable[[], None]) -> int:
    """Additions and multiplications of a call's matrix products, as torch counts them."""
    counter = FlopCounterMode(display=False)
    with counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        call()
    return counter.get_total_flops()


def test_the_products_of_a_step_are_those_of_the_method_and_the_step_does_fewer():
    hidden, clips, width = 16, 8, 24
    model = UmURL(hidden, projector_width=width)
    step = stepper(model, Process(0, 1, CPU), None)
    batch = Given(random_views(clips, CPU), [clips])
    needed = products.of_step(hidden, clips, width)
    assert operations(products.runner(needed, CPU, torch.float32)) == products.operations(needed)
    model.encoder.eval()  # the layers as the method has them
    assert operations(lambda: step(batch)) == products.operations(needed)
    # In training, of four maps of all tokens two are left, and two products of their weights come.
    model.encoder.train()
    tokens = 4 * clips * (64 + 50)
    saved = 3 * 2 * 2 * tokens * hidden**2 - 3 * 2 * 2 * 2 * hidden**3
    assert operations(lambda: step(batch)) == products.operations(needed) - saved


def test_a_compiled_network_does_the_step():
    model = UmURL(8, projector_width=16)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    compiled = torch.compile(model, backend="eager")
    stepper(model, Process(0, 1, CPU), None, compiled)(Given(random_views(8, CPU), [8]))
    assert all((p != before[name]).any() for name, p in model.named_parameters())


def test_the_published_model_takes_its_known_number_of_operations():
    needed = products.of_step(1024, 512, 4096)
    linear = [p._replace(backward=0) for p in needed[:-1] if p.groups == 1]
    forward = products.operations(linear) / 512  # a clip, without attention and loss
    assert forward == pytest.approx(7.85e9, rel=0.001)


# ---------------------------------------------------------------- no waiting for the device


class NoReading(TorchDispatchMode):
    """Refuses what reads a tensor's values on the host, and numbers of the host made a tensor.

    On a GPU each of these would wait for all work that is under way.
    """

    REFUSED = ("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "lift")

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        indices = args[1] if function is torch.ops.aten.index.Tensor else ()
        masked = any(index is not None and index.dtype == torch.bool for index in indices)
        if masked or function.overloadpacket.__name__.startswith(self.REFUSED):
            raise AssertionError(f"the step waits for the device in {function}")
        return function(*args, **(kwargs or {}))


def batch_of(device: torch.device, tmp_path: Path, resident: bool) -> Batch:
    """A batch of eight clips."""
    store = inputs.random_store(tmp_path, 8)
    frames = resident_frames(store, device) if resident else None
    return next(TrainingBatches(store, np.arange(8), 8, 0, device, frames).epoch(0))


def test_the_guard_notices_reading():
    x = torch.ones(3)
    for read in (x.sum().item, lambda: bool(x[0] > 0), lambda: x[x > 0], lambda: x[[0, 2]]):
        with NoReading(), pytest.raises(AssertionError, match="waits"):
            read()


def test_a_training_step_reads_nothing_from_the_device(tmp_path, monkeypatch):
    model = UmURL(8, projector_width=16)
    step, batch = stepper(model, Process(0, 1, CPU), None), batch_of(CPU, tmp_path, True)
    for name in ("cpu", "numpy", "tolist", "item"):
        monkeypatch.setattr(torch.Tensor, name, None)
    with NoReading():
        step(batch)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("amp", [None, torch.bfloat16])
def test_a_training_step_waits_for_no_gpu(tmp_path, amp):
    device = torch.device("cuda", 0)
    model = UmURL(64, projector_width=64).to(device)
    step, batch = stepper(model, Process(0, 1, device), amp), batch_of(device, tmp_path, True)
    step(batch)  # what is made once may wait
    torch.cuda.set_sync_debug_mode("error")
    try:
        step(batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")


# ---------------------------------------------------------------- evaluation


def test_linear_evaluation_encodes_each_clip_once(tmp_path, monkeypatch):
    store = inputs.random_store(tmp_path, 40)
    evaluation.write_checkpoint(tmp_path / "run", tmp_path, 8)
    encoded, forward = [], Encoder.forward

    def count(self, *views):
        encoded.append(len(next(iter(views[0].values())).temporal))
        return forward(self, *views)

    monkeypatch.setattr(Encoder, "forward", count)
    results = evaluation.recognize(tmp_path / "run", replace(LINEAR, epochs=7))
    assert sum(encoded) == len(store.names)
    assert 0 <= results["top1"] <= 100


class Largest(TorchDispatchMode):
    """Notes the size of the largest tensor that an operation makes."""

    numel = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.numel = max(self.numel, tensor.numel())
        return result


@pytest.mark.parametrize(
    ("queries", "database", "chunk"), [(50, 80, 400), (30, 10, 64), (9, 40, 1)]
)
def test_neighbors_hold_no_more_similarities_than_their_bound(queries, database, chunk):
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randn(n, 4, generator=generator) for n in (queries, database)]
    largest = Largest()
    with largest:
        nearest(*rows, 1, chunk)
    # Never all similarities, but a row of them or the arguments if those are more than a chunk.
    assert largest.numel <= max(chunk, database, 4 * queries, 4 * database) < queries * database


def test_the_bound_on_the_memory_of_neighbors():
    n, m, d = SIZES["full"].huge
    assert (n, m, d) == (50_919, 63_026, 2048)
    similarities = 4 * n * m / 2**20
    assert evaluation.neighbors_mib(n, m, d) < 1800 < similarities / 6
    assert evaluation.neighbors_mib(n, m, d) > 4 * d * (n + m) / 2**20 + 256
