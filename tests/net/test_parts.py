"""A batch that is encoded in parts has the outputs, the loss and the gradients of the whole."""

import pytest
import torch
from torch import nn

from feeder.batches import shares
from net.baseline import Baseline
from net.losses import umurl_loss
from net.parts import encode_in_parts
from net.umurl import UmURL
from tests.published import zero_gradients
from tests.ranks import run_ranks
from tools.benchmark.counting import Counting
from tools.benchmark.step import Given, random_views, stepper
from tools.training import distributed
from tools.training.distributed import Process

CPU = torch.device("cpu")


def gradients(model: nn.Module, views: torch.Tensor) -> tuple[list, dict]:
    model.zero_grad()
    outputs = model(views)
    total = umurl_loss(*outputs)["total"]
    total.backward()
    return [total, *outputs], {key: p.grad.clone() for key, p in model.named_parameters()}


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("build", [UmURL, Baseline])
@pytest.mark.parametrize("heads", [1, 2])
def test_parts_give_what_the_whole_gives(build, heads, parts):
    torch.manual_seed(0)
    model = build(8, heads, projector_width=16).double()
    views = random_views(7, CPU).double()
    whole, expected = gradients(model, views)
    encode_in_parts(model.encoder, parts)
    running = {key: buffer.clone() for key, buffer in model.named_buffers()}
    found, ours = gradients(model, views)
    for one, other in zip(found, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    for key in ours.keys() - zero_gradients(ours):
        torch.testing.assert_close(ours[key], expected[key], rtol=1e-8, atol=1e-10)
    tracked = [k for k in running if k.endswith("num_batches_tracked")]
    buffers = dict(model.named_buffers())
    assert all(buffers[key] - running[key] in (1, 2) for key in tracked)  # the sets of one pass


def of_a_step(process: Process, parts: int) -> dict[str, torch.Tensor]:
    """The gradients of a step on this rank's clips of a batch of seven."""
    torch.manual_seed(0)
    model = UmURL(8, projector_width=16).double()
    views = random_views(7, CPU).double()
    if parts > 1:
        encode_in_parts(model.encoder, parts)
    network = distributed.parallel(model, process)
    cut = shares(7, process.world_size)
    first = sum(cut[: process.rank])
    step = stepper(model, process, None, network)
    step(Given(views[:, first : first + cut[process.rank]], cut))
    return {key: p.grad for key, p in model.named_parameters()}


def test_ranks_encode_in_parts_too():
    whole = of_a_step(Process(0, 1, CPU), 1)
    for rank in run_ranks(2, of_a_step, 3):
        for key in whole.keys() - zero_gradients(whole):
            torch.testing.assert_close(rank[key], whole[key], rtol=1e-8, atol=1e-10)


def test_no_clip_is_no_fault():
    model = UmURL(8, projector_width=16).eval()
    encode_in_parts(model.encoder, 4)
    assert model(random_views(0, CPU))[-1].shape == (0, 16)


def test_an_encoder_in_which_clips_meet_is_refused():
    with pytest.raises(ValueError, match="batch norm"):
        encode_in_parts(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), 2)


def test_parts_take_a_fraction_of_the_memory():
    peaks = []
    for parts in (1, 4):
        model = UmURL(32, projector_width=16)
        if parts > 1:
            encode_in_parts(model.encoder, parts)
        step = stepper(model, Process(0, 1, CPU), None)
        views = random_views(32, CPU)
        with Counting(CPU) as counting:
            step(Given(views, [32]))
        peaks.append(counting.peak)
    assert peaks[1] < 0.6 * peaks[0]
