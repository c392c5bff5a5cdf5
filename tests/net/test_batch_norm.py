"""Batch norm over ranks against torch's batch norm over the whole batch."""

import pytest
import torch
from torch import nn

from net.batch_norm import SyncBatchNorm1d
from tests.ranks import run_ranks
from tools.training.distributed import Process

WIDTH = 6
SHARES = ([5, 5, 5, 5], [4, 3, 0, 0], [1, 0, 0, 1], [0, 9, 2, 1])
CASES = [
    (shares, offset, autocast)
    for shares in SHARES
    for offset, autocast in ((0.0, False), (1000.0, False), (0.0, True))
]


def whole(shares: list[int], offset: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of all ranks and the gradient of their outputs, (n, WIDTH) each."""
    rows = torch.randn(2, sum(shares), WIDTH, generator=torch.Generator().manual_seed(0))
    return rows[0] * torch.arange(1, WIDTH + 1) + offset, rows[1]


def norm_of(kind: type[nn.BatchNorm1d]) -> nn.BatchNorm1d:
    """A batch norm with weights and statistics of its own."""
    norm, generator = kind(WIDTH), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            tensor.copy_(torch.rand(WIDTH, generator=generator) + 0.5)
    return norm


def passed(norm: nn.BatchNorm1d, x: torch.Tensor, grad: torch.Tensor, autocast: bool) -> dict:
    """What comes of a forward and a backward pass."""
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        out = norm(x.bfloat16() if autocast else x)
    out.backward(grad.to(out.dtype))
    return {
        "out": out.detach(),
        "x": x.grad,
        "weight gradient": norm.weight.grad,
        "bias gradient": norm.bias.grad,
        **{key: value.clone() for key, value in norm.state_dict().items()},
    }


def on_a_rank(process: Process) -> list[dict]:
    """All cases, on this rank's rows."""
    results = []
    for shares, offset, autocast in CASES:
        first = sum(shares[: process.rank])
        mine = slice(first, first + shares[process.rank])
        x, grad = whole(shares, offset)
        norm = norm_of(SyncBatchNorm1d)
        results.append(passed(norm, x[mine], grad[mine], autocast))
        norm.eval()  # which takes the running statistics, without asking other ranks
        results[-1]["eval"] = norm(x[mine]).detach() if process.rank == 0 else None
    return results


@pytest.fixture(scope="module")
def ranks():
    return run_ranks(4, on_a_rank)


@pytest.mark.parametrize("case", range(len(CASES)))
def test_ranks_normalise_as_one_process_does(ranks, case):
    shares, offset, autocast = CASES[case]
    x, grad = whole(shares, offset)
    parts = [rank[case] for rank in ranks]
    expected = passed(norm_of(nn.BatchNorm1d), x, grad, autocast)
    # torch's own batch norm loses digits far from 0: compare with double precision there.
    exact = passed(norm_of(nn.BatchNorm1d).double(), x.double(), grad.double(), False)
    close = {"rtol": 2e-2, "atol": 2e-2} if autocast else {"rtol": 1e-4, "atol": 2e-4}
    for name in ("out", "x"):
        joined = torch.cat([part[name] for part in parts])
        assert joined.dtype == expected[name].dtype
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


def test_one_process_has_the_batch_norm_of_torch():
    x, grad = whole([8], 3.0)
    ours = passed(norm_of(SyncBatchNorm1d), x, grad, False)
    theirs = passed(norm_of(nn.BatchNorm1d), x, grad, False)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
