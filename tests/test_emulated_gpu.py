"""A training step on an emulated GPU: everything is there, and the host waits for nothing.

Fake tensors have a device and a shape but no data. An operation on two devices, or one that needs
data on the host (`.item()`, a mask as index), raises an error.
"""

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from feeder.augment import PUBLISHED, Strengths, uniform_draws
from feeder.batches import Batch, Clips
from feeder.skeletons import NTU
from net.methods import METHODS

CASES = [*((name, PUBLISHED) for name in METHODS), ("umurl", Strengths(yaw=60, shared_view=True))]


@pytest.mark.parametrize(("name", "strengths"), CASES)
def test_a_step_stays_on_the_gpu_and_never_synchronizes(name, strengths):
    method, clips = METHODS[name], 6
    draws = uniform_draws(np.random.default_rng(0), (method.views, clips), 25, strengths)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.device("cuda"):
        start, length = torch.empty(2, clips, dtype=torch.int64).unbind()
        packed = Clips(torch.empty(300, *NTU.frame_shape), start, length)
        uniform = torch.empty(draws.shape)
        views = Batch(packed, uniform, 0, np.arange(clips), [clips], strengths).views()
        model = method.model(8, 1, 1, 12)
        optimizer = torch.optim.Adam(model.parameters(), fused=True)
        *projected, feature = model(views)
        terms = method.loss(*projected)
        for weight in model.parameters():  # autograd itself needs a real GPU
            weight.grad = torch.empty_like(weight)
        torch.nn.utils.clip_grad_norm_(model.parameters(), float("inf"))
        optimizer.step()
        tensors = [views, feature, *projected, *terms.values(), *model.state_dict().values()]
        assert {tensor.device.type for tensor in tensors} == {"cuda"}
        with pytest.raises(DataDependentOutputException):
            terms["total"].item()  # so a wait in the step would have been seen
