"""Predictions rest on counts, and the counts are those of a real step on the CPU."""

from dataclasses import replace
from unittest import mock

import pytest
import torch

from net.encoder import LayerNorm
from net.umurl import UmURL
from tests.runs import call
from tools import predict
from tools.benchmark import prediction, products
from tools.benchmark.counting import COLLECTIVES, REDUCE, Counting, Operation, Work
from tools.benchmark.emulation import LEAST_TORCH
from tools.benchmark.gpus import GIB, GPUS
from tools.benchmark.prediction import RESERVE, Setting, Step, counted_step, fused, seconds
from tools.benchmark.step import Given, random_views, stepper
from tools.training.distributed import Process

pytestmark = pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < LEAST_TORCH, reason="torch is too old"
)
CPU = torch.device("cpu")
SMALL = Setting((32, 1, 1), width=48, batch=24, ranks=1, amp=None)


@pytest.fixture(scope="module")
def emulated():
    return counted_step(SMALL)


@pytest.fixture(scope="module")
def real():
    """The same step with values on the CPU, gone back by torch's own autograd."""
    model = UmURL(*SMALL.sizes, SMALL.width)
    step, counting = stepper(model, Process(0, 1, CPU), None), Counting(CPU)
    given = Given(random_views(SMALL.batch, CPU), [SMALL.batch])
    step(given)  # which makes Adam's state
    with counting:
        counting.hold([*model.parameters(), *(p.grad for p in model.parameters()), given.given])
        step(given)
    return counting, sum(p.numel() for p in model.parameters())


def test_the_products_are_those_of_a_real_step(emulated, real):
    flops = [sum(x.work.flops for x in step.operations) for step in (emulated, real[0])]
    assert flops[0] == flops[1]
    hidden, batch = SMALL.sizes[0], SMALL.batch
    tokens = 4 * batch * (64 + 50)
    left_out = 3 * 2 * 2 * tokens * hidden**2 - 3 * 2 * 2 * 2 * hidden**3
    assert flops[0] == products.operations(products.of_step(hidden, batch, SMALL.width)) - left_out


def test_the_memory_is_that_of_a_real_step(emulated, real):
    counting, parameters = real
    moments = 2 * 4 * parameters  # which were made before anybody counted
    # The old gradients, which a step drops before it goes back, were there in the real one only.
    measured = counting.peak + moments
    assert emulated.peak == pytest.approx(measured, rel=0.03)


def test_the_bytes_are_those_of_a_real_step_but_for_what_differs_on_a_cpu(emulated, real):
    sums = [sum(x.work.moved for x in step.operations) for step in (emulated, real[0])]
    assert sums[0] == pytest.approx(sums[1], rel=0.1)


def test_half_precision_moves_less_and_ranks_share(emulated):
    half = counted_step(replace(SMALL, amp=torch.bfloat16))
    moved = [prediction.by_kind(x.operations, GPUS["h100"]) for x in (half, emulated)]
    assert moved[0]["products"][0].moved < moved[1]["products"][0].moved
    both = counted_step(replace(SMALL, ranks=2))
    assert both.peak < emulated.peak
    kinds = [{x.kind for x in step.operations} for step in (emulated, both)]
    assert kinds[1] - kinds[0] == {*COLLECTIVES}


def operation(kind: str, reads: dict[int, int], writes: dict[int, int], phase="forward"):
    work = Work(1, 0, sum(reads.values()) + sum(writes.values()))
    return Operation(kind, torch.float32, phase, work, reads, writes)


def test_what_is_compiled_together_reads_and_writes_what_goes_in_and_out():
    steps = [
        operation("products", {0: 8}, {1: 8}),
        operation("elementwise", {1: 8, 9: 2}, {2: 8}),  # joined with the next two
        operation("relu", {2: 8}, {3: 8}),
        operation("layer norm", {3: 8, 2: 8}, {4: 8}),
        operation("products", {4: 8}, {5: 8}),
        operation("elementwise", {5: 8}, {6: 8}, "loss"),  # which is not compiled
        operation("elementwise", {6: 8}, {7: 8}, "loss"),
        operation("elementwise", {3: 8}, {8: 8}, "backward"),  # keeps 3
    ]
    moved = [x.work.moved for x in fused(steps)]
    assert moved == [16, 8 + 2 + 8 + 8, 16, 16, 16, 16]


def test_time_follows_the_slower_of_arithmetic_and_memory_and_the_host():
    gpu = GPUS["h100"]
    work = Work(1, int(1e12), int(1e6))
    step = Step([Operation("products", torch.bfloat16, "forward", work, {}, {})], 0, 10)
    quick = gpu._replace(half=2 * gpu.half)
    times = [seconds(step, g, 1, compiled=False) for g in (gpu, quick)]
    assert times[0].device == pytest.approx(2 * times[1].device)
    assert seconds(step, gpu._replace(half=1e30), 1, compiled=False).step == prediction.LAUNCH
    assert seconds(step, gpu, 2, compiled=False).step > times[0].step


def test_what_ranks_send_each_other_is_what_goes_over_the_link():
    gathered, summed = (operation(kind, {0: 8}, {1: 800}) for kind in COLLECTIVES)
    assert (gathered.kind, summed.kind) == COLLECTIVES and summed.kind == REDUCE
    assert prediction.sent(gathered, 8) == 700  # all but one's own
    assert prediction.sent(summed, 8) == 1400
    both = counted_step(replace(SMALL, ranks=2))
    sizes = [sum(x.writes.values()) for x in both.operations if x.kind in COLLECTIVES]
    outputs = 6 * SMALL.batch * SMALL.width * 4
    scalars = 2 * (5 + 1 + 2 * 2 * SMALL.sizes[0]) * 4  # and moments of features
    assert {outputs, scalars} < set(sizes)  # and batch norm's


def test_an_answer_that_is_read_after_the_backward_pass_is_not_waited_for():
    gpu, steps = GPUS["h100"], []
    for phase in ("loss", "update"):
        asked, read = (
            operation(REDUCE, {0: 8}, {1: 8}, "loss"),
            operation("sums", {1: 8}, {}, phase),
        )
        steps.append(Step([asked, read], 0, 10))
    waiting = [seconds(step, gpu, 2, compiled=False).waiting for step in steps]
    assert waiting[0] - waiting[1] == pytest.approx(prediction.COLLECTIVE, rel=0.01)


def test_the_last_gradients_that_ranks_send_are_those_of_the_first_parameters():
    sizes = [100, 2**18 * 30, 2**18 * 30, 2**18]  # 400 bytes, 30 MiB, 30 MiB, 1 MiB
    model = torch.nn.ParameterList([torch.empty(n, device="meta") for n in sizes])
    assert prediction.last_bucket(model) == 400


def test_the_loss_is_not_compiled_and_the_optimizer_writes(emulated):
    phases = {x.phase for x in emulated.operations}
    assert {"forward", "loss", "backward", "update"} <= phases
    grams = [x for x in emulated.operations if x.kind == "products" and x.phase == "loss"]
    assert len(grams) == 4  # of two outputs, forth and back
    (adam,) = (x for x in emulated.operations if x.kind == "optimizer")
    assert adam.work.moved >= 7 * 4 * emulated.parameters  # four are read, three written


@pytest.mark.parametrize("square", [0, 40])
def test_the_largest_batch_fits_and_a_larger_one_does_not(monkeypatch, square):
    def peak(setting: Setting) -> int:
        return int(5e6 + 1e5 * setting.batch + square * setting.batch**2)

    monkeypatch.setattr(prediction, "peak", peak)
    for room in (9e6, 4e7, 1e9):
        largest = prediction.largest_batch(SMALL, RESERVE + room)
        assert peak(replace(SMALL, batch=largest)) <= room
        assert peak(replace(SMALL, batch=largest + 16)) > room
    assert prediction.largest_batch(SMALL, RESERVE) == 0


def test_the_published_batch_fits_a_card_of_24_gib():
    """A stand-in for CUDA's runtime counted 18.7 GiB, where layer norm was in float32."""
    peak = counted_step(Setting(batch=1024)).peak
    with mock.patch.object(LayerNorm, "forward", torch.nn.LayerNorm.forward):
        before = counted_step(Setting(batch=1024)).peak
    assert before / GIB == pytest.approx(18.7, rel=0.02)
    assert peak < 0.7 * before
    assert peak + RESERVE < 24 * GIB


def test_parts_take_less_memory_and_more_products():
    whole, parts = (counted_step(replace(SMALL, parts=n)) for n in (1, 4))
    assert parts.peak < 0.6 * whole.peak
    flops = [sum(x.work.flops for x in step.operations) for step in (whole, parts)]
    assert 1.15 < flops[1] / flops[0] < 1.5  # and of weights alone, again for each part
    between = RESERVE + (whole.peak + parts.peak) / 2
    assert prediction.parts_that_fit(SMALL, between) in (2, 4)
    assert prediction.parts_that_fit(SMALL, RESERVE) is None


def test_the_command_answers_for_any_sizes(emulated, monkeypatch):
    def count(setting: Setting) -> Step:
        return emulated._replace(peak=int(1e6 * setting.batch / setting.ranks))

    monkeypatch.setattr(prediction, "counted_step", count)
    sizes = "--hidden-size 16 --projector-width 24 --num-head 2 --batch-size 16"
    done = call(predict.main, *sizes.split(), "--gpu", "rtx4090", "--matrix-rate", 90)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    rows = [line.split("|")[1:-1] for line in lines if line.startswith("| ")]
    assert sum(row[0].strip() in ("ntu60 cross_subject", "ntu120 cross_setup") for row in rows) == 2
    assert sum(row[0].strip().endswith(" GiB") and row[1] == " yes " for row in rows) == 3
    assert "Computed, not measured" in lines[0]
    refused = call(predict.main, "--hidden-size", 9, "--num-head", 2)
    assert refused.code == 2 and refused.err.count("\n") == 1
