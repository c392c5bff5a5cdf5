"""All-gather, and batch norm over ranks against torch's over the whole batch, in float64."""

import pytest
import torch
from torch import nn

from net.distributed import SyncBatchNorm1d, gather
from net.losses import umurl_loss
from tests.runs import run_ranks
from tools.training import distributed

WIDTH = 6
SHARES = ([5, 5, 5, 5], [1, 0, 0, 1], [0, 9, 2, 1])
GATHERED = [3, 2, 0, 1]  # clips of each rank
# A variance from squares about 0 would be off by 1e-4 at 1e6, where the mean is off by 1e-10.
KINDS = ((torch.float64, 0.0), (torch.float64, 1e6), (torch.float32, 0.0), (torch.bfloat16, 0.0))
CLOSE = {torch.float64: 1e-8, torch.float32: 1e-4, torch.bfloat16: 2e-2}
CASES = [(shares, dtype, offset) for shares in SHARES for dtype, offset in KINDS]


def whole(shares: list[int], offset: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of all ranks and the gradient of their outputs, (n, WIDTH) each, float64."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(2, sum(shares), WIDTH, generator=generator, dtype=torch.float64)
    return rows[0] * torch.arange(1, WIDTH + 1) + offset, rows[1]


def norm_of(kind: type[nn.BatchNorm1d]) -> nn.BatchNorm1d:
    """A batch norm with weights and statistics of its own, float64."""
    norm, generator = kind(WIDTH), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            tensor.copy_(torch.rand(WIDTH, generator=generator) + 0.5)
    return norm.double()


def passed(norm: nn.BatchNorm1d, x: torch.Tensor, grad: torch.Tensor, dtype: torch.dtype) -> dict:
    """What comes of a forward and a backward pass in a precision; bfloat16: under autocast."""
    half = dtype == torch.bfloat16
    norm = norm.float() if half else norm.to(dtype)
    x = x.to(dtype, copy=True).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        out = norm(x)
    out.backward(grad.to(out.dtype))
    return {
        "out": out.detach(),
        "x": x.grad,
        "weight gradient": norm.weight.grad,
        "bias gradient": norm.bias.grad,
        **{key: value.clone() for key, value in norm.state_dict().items()},
    }


def on_a_rank() -> dict:
    """All cases on this rank's rows: batch norm, gathered clips and the gradient of their loss."""
    rank, results = distributed.start().rank, []
    for shares, dtype, offset in CASES:
        x, grad = (rows.split(shares)[rank] for rows in whole(shares, offset))
        norm = norm_of(SyncBatchNorm1d)
        results.append(passed(norm, x, grad, dtype))
        norm.double().eval()  # which takes the running statistics, without other ranks
        results[-1]["eval"] = norm(x).detach() if rank == 0 else None
    mine = clips().split(GATHERED, dim=1)[rank].requires_grad_()
    gathered = gather(mine, GATHERED)
    total = umurl_loss(*gathered.split(3))["total"]
    total.backward()
    found = {"clips": gathered.detach(), "total": total.detach(), "gradient": mine.grad}
    return found | {"norms": results}


def clips() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, sum(GATHERED), 5, generator=generator, dtype=torch.float64)


@pytest.fixture(scope="module")
def ranks():
    return run_ranks(4, on_a_rank)


@pytest.mark.parametrize("case", range(len(CASES)))
def test_ranks_normalize_as_one_process_does(ranks, case):
    shares, dtype, offset = CASES[case]
    x, grad = whole(shares, offset)
    parts = [rank["norms"][case] for rank in ranks]
    exact = passed(norm_of(nn.BatchNorm1d), x, grad, torch.float64)
    assert x.std(0, correction=0).min() > 0.1  # so that rounding is not made more than ten times
    close = {"rtol": CLOSE[dtype], "atol": CLOSE[dtype]}
    for name in ("out", "x"):
        joined = torch.cat([part[name] for part in parts])
        assert joined.dtype == dtype
        torch.testing.assert_close(joined.double(), exact[name], **close)
    for name in ("weight gradient", "bias gradient"):
        total = sum(part[name] for part in parts)
        torch.testing.assert_close(total.double(), exact[name], **close)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        for part in parts:
            assert torch.equal(part[name], parts[0][name])
        torch.testing.assert_close(parts[0][name], exact[name].to(parts[0][name].dtype), **close)
    norm = norm_of(nn.BatchNorm1d)
    norm.load_state_dict({key: parts[0][key] for key in norm.state_dict()})
    torch.testing.assert_close(parts[0]["eval"], norm.eval()(x[: shares[0]]))


def test_gathered_clips_have_the_loss_and_the_gradient_of_one_process(ranks):
    z = clips().requires_grad_()
    total = umurl_loss(*z.split(3))["total"]
    total.backward()
    for rank in ranks:
        assert torch.equal(rank["clips"], z.detach())
        torch.testing.assert_close(rank["total"], total.detach())
    gradient = torch.cat([rank["gradient"] for rank in ranks], dim=1)
    torch.testing.assert_close(gradient, z.grad)
