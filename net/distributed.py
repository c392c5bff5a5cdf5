"""One batch on several ranks: all-gather with gradients, and batch norm over the whole batch.

A rank loads and encodes its share of the batch (`feeder.batches.shares`). The projected features of
all ranks are gathered, so each rank computes the loss of the whole batch, as one GPU would.
"""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision becomes float32; float32 and float64 stay."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def gather(x: Tensor, shares: Sequence[int]) -> Tensor:
    """All-gather the clips of a batch: (..., n, D) of this rank -> (..., sum of shares, D).

    shares: the number of clips of each rank; they may differ, and may be 0

    The gradient of a rank's clips is cut out of its own copy of the result, without communication.
    So every rank must compute the same loss from the gathered clips; DDP then averages over ranks,
    so multiply the loss by the world size.
    """
    return x if len(shares) == 1 else _Gather.apply(x, tuple(shares))


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, shares: tuple[int, ...]) -> Tensor:
        ctx.shares, most = shares, max(shares)
        padded = x.new_zeros(*x.shape[:-2], most, x.shape[-1])  # collectives want equal shapes
        padded[..., : x.shape[-2], :] = x
        parts = [torch.empty_like(padded) for _ in shares]
        dist.all_gather(parts, padded)
        return torch.cat([part[..., :n, :] for part, n in zip(parts, shares, strict=True)], dim=-2)

    @staticmethod
    def backward(ctx, grad: Tensor):
        rank = dist.get_rank()
        return grad.narrow(-2, sum(ctx.shares[:rank]), ctx.shares[rank]), None


class _AllReduce(torch.autograd.Function):
    """The sum over all ranks; its gradient is the sum of the ranks' gradients."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return _AllReduce.forward(ctx, grad.contiguous())


class SyncBatchNorm1d(nn.BatchNorm1d):
    """`nn.BatchNorm1d` with the statistics of all ranks' rows, on CPU and GPU.

    Input and output are (n, D); n may differ between ranks and may be 0. (`nn.SyncBatchNorm` needs
    GPUs.) Without torch.distributed, and in eval mode, it is `nn.BatchNorm1d`.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and dist.is_initialized()):
            return super().forward(x)
        rows = at_least_float32(x)
        count = _AllReduce.apply(rows.new_tensor([len(rows)]))
        mean = _AllReduce.apply(rows.sum(0)) / count  # (D,)
        centered = rows - mean
        var = _AllReduce.apply(centered.square().sum(0)) / count  # (D,)
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * count / (count - 1), self.momentum)
        normalized = centered * torch.rsqrt(var + self.eps)
        return (normalized * self.weight + self.bias).to(x.dtype)
