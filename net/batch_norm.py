"""Batch norm over the batch of all ranks, on any backend (torch's own SyncBatchNorm needs GPUs)."""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from net.precision import at_least_float32


class _Normalise(torch.autograd.Function):
    """Rows minus the mean of all ranks' rows, over their standard deviation.

    Differs from the textbook in two ways that matter: one collective each way, and no difference
    of large numbers, since every rank gives its sum of squares about its own mean (Chan et al.,
    The American Statistician 1983, equation 2.1 for several parts).
    """

    @staticmethod
    def forward(ctx, x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x: (n, D), float32 or wider, n may be 0 -> (n, D); mean, variance (D) and count of all"""
        n, width = x.shape
        mean = x.sum(0) / max(n, 1)
        squares = (x - mean).square().sum(0)
        mine = torch.cat([mean, squares, mean.new_full((1,), n)])  # (2D + 1,)
        parts = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, mine)
        means, squares, rows = torch.stack(parts).split([width, width, 1], dim=1)  # (ranks, ...)
        count = rows.sum()
        mean = (means * rows).sum(0) / count
        var = (squares + rows * (means - mean).square()).sum(0) / count
        scale = torch.rsqrt(var + eps)
        out = (x - mean) * scale
        ctx.save_for_backward(out, scale, count)
        ctx.mark_non_differentiable(mean, var, count)
        return out, mean, var, count

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor, *_):
        out, scale, count = ctx.saved_tensors
        sums = torch.stack([grad.sum(0), (grad * out).sum(0)])  # (2, D)
        dist.all_reduce(sums)
        along_mean, along_scale = sums / count
        return (grad - along_mean - out * along_scale) * scale, None


class SyncBatchNorm1d(nn.BatchNorm1d):
    """`nn.BatchNorm1d` whose batch statistics are those of all ranks' rows together.

    Input and output (n, D); n may differ from rank to rank, and be 0 on some. With one process, or
    in eval mode, it is `nn.BatchNorm1d`; its state has the same keys either way.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and dist.is_initialized() and dist.get_world_size() > 1):
            return super().forward(x)
        out, mean, var, count = _Normalise.apply(at_least_float32(x), self.eps)
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (count / (count - 1)), self.momentum)
        return torch.addcmul(self.bias, out, self.weight).to(x.dtype)
