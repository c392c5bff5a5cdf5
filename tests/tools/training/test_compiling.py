"""torch.compile: one graph for batches of all sizes, on ranks too; where it is the default."""

import copy

import pytest
import torch

from feeder.batches import shares
from net.umurl import UmURL
from tests.ranks import run_ranks
from tools.benchmark.step import Given, random_views, stepper
from tools.training import compiling, distributed
from tools.training.compiling import compiled
from tools.training.distributed import Process
from tools.training.step import precision

BATCHES = (8, 5, 8, 7)  # such as an epoch has: whole ones, and the last one of another size
CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


def trained(process: Process, backend: str | None) -> dict:
    """Weights after a few steps, and what dynamo counted of graphs."""
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    counters.clear()
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    model = UmURL(hidden_size=8, projector_width=16)
    network = copy.copy(model) if backend is None else compiled(model, process.world_size, backend)
    step = stepper(model, process, None, distributed.parallel(network, process))
    for number in BATCHES:
        parts = shares(number, process.world_size)
        first = sum(parts[: process.rank])
        views = random_views(number, CPU)[:, first : first + parts[process.rank]]
        step(Given(views, parts))
    torch.set_default_dtype(torch.float32)
    return {
        "weights": [parameter.detach() for parameter in model.parameters()],
        "graphs": counters["stats"]["unique_graphs"],
        "breaks": dict(counters["graph_break"]),
    }


def both(process: Process, backend: str) -> list[dict]:
    return [trained(process, backend), trained(process, None)]


def assert_compiled_once_and_alike(compiled: dict, plain: dict) -> None:
    assert compiled["graphs"] == 1 and not compiled["breaks"]
    for ours, theirs in zip(compiled["weights"], plain["weights"], strict=True):
        # Where a gradient is zero but for rounding, a step of Adam goes anywhere.
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2 * 5e-4 * len(BATCHES))
    near = [
        ((ours - theirs).abs() < 1e-9).double().mean()
        for ours, theirs in zip(compiled["weights"], plain["weights"], strict=True)
    ]
    assert sum(near) > 0.8 * len(near)


@pytest.mark.parametrize("amp", [None, torch.bfloat16])
def test_the_network_is_one_graph(amp):
    torch._dynamo.reset()
    model, views = UmURL(hidden_size=8, projector_width=16), random_views(6, CPU)
    with torch.autocast("cpu", amp, enabled=amp is not None):
        told = torch._dynamo.explain(model)(views)
    assert (told.graph_count, told.graph_break_count) == (1, 0), told.break_reasons


def test_one_process_compiles_once_for_all_sizes_of_a_batch():
    assert_compiled_once_and_alike(*both(Process(0, 1, CPU), "eager"))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_ranks_compile_once_for_all_sizes_of_a_batch(backend):
    for rank in run_ranks(2, both, backend, seconds=900):  # the compiler of C++ takes long
        assert_compiled_once_and_alike(*rank)


@pytest.mark.parametrize(
    ("capability", "amp", "lacks"),
    [
        ((6, 1), "fp16", "too old"),
        ((7, 5), "fp16", None),
        ((8, 0), "bf16", None),
        ((9, 0), "bf16", None),
    ],
)
def test_what_a_gpu_is_given_is_what_it_has_in_hardware(monkeypatch, capability, amp, lacks):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)  # some emulate it
    monkeypatch.setattr(compiling, "find_spec", lambda name: object())
    monkeypatch.setenv("CC", "sh")
    assert precision("auto", GPU) == amp
    missing = compiling.lacking(GPU)
    assert lacks in missing if lacks else missing is None


def test_what_the_compiler_needs_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(compiling, "find_spec", lambda name: None)
    assert "triton" in compiling.lacking(GPU)
    monkeypatch.setattr(compiling, "find_spec", lambda name: object())
    monkeypatch.setattr(compiling.shutil, "which", lambda name: None)
    assert "C compiler" in compiling.lacking(GPU)
    assert compiling.lacking(CPU) is not None and precision("auto", CPU) == "off"
