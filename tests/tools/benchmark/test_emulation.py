"""A step of training on an emulated GPU: every device and type fits, and the host never waits."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import pytest
import torch
import torch.distributed as dist

from feeder.batches import TrainingBatches, resident_frames
from net.methods import METHODS
from net.umurl import UmURL
from tests.published import zero_gradients
from tools.benchmark import inputs
from tools.benchmark.counting import COLLECTIVES, Counting, Work
from tools.benchmark.emulation import LEAST_TORCH, _Graph, emulated_gpu, on_gpu
from tools.benchmark.step import Given, random_views, stepper
from tools.training.distributed import Process

pytestmark = pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < LEAST_TORCH, reason="torch is too old"
)
CLIPS = 9
AMP = {"bf16": torch.bfloat16, "fp16": torch.float16, "off": None}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return inputs.random_store(tmp_path_factory.mktemp("store"), CLIPS)


@contextmanager
def one_of(ranks: int) -> Iterator[None]:
    """This process as the first of several, whose collectives ask nobody."""
    if ranks > 1:
        from torch.testing._internal.distributed.fake_pg import FakeStore

        dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=ranks)
    try:
        yield
    finally:
        if ranks > 1:
            dist.destroy_process_group()


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("amp", AMP)
def test_a_step_of_training_fits_a_gpu_and_waits_for_nothing(store, amp, resident, ranks):
    model = UmURL(16, projector_width=32)
    with one_of(ranks), emulated_gpu() as gpu:
        model = on_gpu(model)
        frames = resident_frames(store, gpu.device) if resident else None
        gpu.waits.clear()  # all frames come once
        batches = TrainingBatches(
            *(store, np.arange(CLIPS), CLIPS, 0, gpu.device, frames), rank=0, world_size=ranks
        )
        step = stepper(model, Process(0, ranks, gpu.device), AMP[amp])
        with Counting(gpu.device) as counting:
            for batch in batches.epoch(0):
                step(batch)
        assert gpu.waits == []
    for key, weight in model.named_parameters():
        assert (weight.grad.dtype, weight.grad.device) == (torch.float32, gpu.device), key
    products = [x for x in counting.operations if x.kind == "products"]
    assert (AMP[amp] or torch.float32) in {x.dtype for x in products}
    norms = {x.dtype for x in counting.operations if x.kind == "layer norm"}
    assert norms == {AMP[amp] or torch.float32}  # no detour by float32
    # Batch norm asks twice each way for all projectors; outputs are gathered, and then scalars.
    collectives = [counting.by_kind().get(kind, Work()).launches for kind in COLLECTIVES]
    assert collectives == ([0, 0] if ranks == 1 else [2 + 1 + 1, 2])


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("name", METHODS)
def test_each_method_fits_a_gpu_and_waits_for_nothing(name, ranks):
    method = METHODS[name]
    model = method.load_model()(16, 1, 1, 32)
    with one_of(ranks), emulated_gpu() as gpu:
        process = Process(0, ranks, gpu.device)
        step = stepper(on_gpu(model), process, torch.bfloat16, loss=method.load_loss())
        shape = (method.views, 5, 64, 2, 25, 3)
        step(Given(torch.randn(shape, device=gpu.device), [5, 4][:ranks]))
        assert gpu.waits == []
    kinds = {(p.grad.dtype, p.grad.device) for p in model.parameters() if p.grad is not None}
    assert kinds == {(torch.float32, gpu.device)}


def test_each_way_to_wait_is_noticed():
    with emulated_gpu() as gpu:
        x = torch.ones(3, device=gpu.device)
        here = torch.ones(3)
        free = {
            "a pinned copy": lambda: here.pin_memory().to(gpu.device, non_blocking=True),
            "a pinned buffer": lambda: x.copy_(torch.ones(3, pin_memory=True), non_blocking=True),
            "a fill": lambda: x.new_full((1,), 3.0),
            "a mask": lambda: torch.where(x > 0, x, 0.0),
            "another type": lambda: x.double(),
        }
        waiting = {
            "a copy of memory that is not pinned": lambda: here.to(gpu.device, non_blocking=True),
            "a copy that is waited for": lambda: here.pin_memory().to(gpu.device),
            "numbers": lambda: x.new_tensor([3.0]),
            "a list as index": lambda: x[[0, 2]],
            "a value": lambda: x.sum().item(),
            "a condition": lambda: bool(x.sum() > 0),
            "a choice": lambda: x[x > 0],
            "places": lambda: x.nonzero(),
            "a copy to the host": x.cpu,
        }
        for way in free.values():
            way()
        assert gpu.waits == []
        for name, way in waiting.items():
            with suppress(RuntimeError):  # of values that an emulated tensor has not got
                way()
            assert gpu.waits, name
            gpu.waits.clear()


def test_a_tensor_on_another_device_or_of_another_type_is_refused_as_on_a_gpu():
    with emulated_gpu() as gpu:
        x = torch.ones(2, 3, device=gpu.device)
        for wrong in (lambda: x @ torch.ones(3, 2), lambda: x @ x.mT.double()):
            with pytest.raises(RuntimeError):
                wrong()


def test_the_way_back_gives_the_gradients_of_autograd():
    torch.manual_seed(0)
    model, views = UmURL(8, projector_width=16).double(), random_views(6, torch.device("cpu"))
    found = []
    for backward in (torch.Tensor.backward, _Graph().backward):
        model.zero_grad()
        model.train()
        own, fused, feature = model(views.double())
        backward(own.square().sum() + (fused * own).sum() + feature.mean())
        found.append({key: p.grad for key, p in model.named_parameters()})
    assert found[0].keys() - zero_gradients(found[0])
    for key in found[0].keys() - zero_gradients(found[0]):
        torch.testing.assert_close(found[1][key], found[0][key], rtol=1e-9, atol=1e-9)


def test_memory_is_freed_on_the_way_back_as_on_a_gpu():
    """Of a chain of layers the peak is where the way back begins, not all that was ever made."""
    layers, size = 6, 2**16
    with emulated_gpu() as gpu:
        x = torch.ones(size, device=gpu.device, requires_grad=True)
        with Counting(gpu.device) as counting:
            y = x
            for _ in range(layers):
                y = y.exp()  # which keeps its output
            y.sum().backward()
            del y
    # The outputs, the gradient of one, and that of the next; 4 bytes each.
    assert layers * 4 * size <= counting.peak <= (layers + 2) * 4 * size + 64
    assert counting.held <= 4 * size + 64  # the gradient


def test_a_large_step_is_emulated_without_its_memory():
    model = UmURL(1024, projector_width=4096)
    with emulated_gpu() as gpu:
        step = stepper(on_gpu(model), Process(0, 1, gpu.device), torch.bfloat16)
        with Counting(gpu.device) as counting:
            step(Given(random_views(512, gpu.device), [512]))
    assert 5 * 2**30 < counting.peak < 9 * 2**30
