"""Batch norm over the batch of all ranks, on any backend (torch's own SyncBatchNorm needs GPUs)."""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from net.precision import at_least_float32


class _Normalize(torch.autograd.Function):
    """Rows minus the mean of all ranks' rows, over their standard deviation.

    Differs from the textbook in two ways that matter: one collective each way, and no difference
    of large numbers, since every rank gives its sum of squares about its own mean (Chan et al.,
    The American Statistician 1983, equation 2.1 for several parts).
    """

    @staticmethod
    def forward(ctx, x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Sets of rows, each for itself.

        x: (..., n, D), float32 or wider, n may be 0 -> (..., n, D), and of all ranks' rows the mean
        (..., D), the variance (..., D) and the count.
        """
        n = x.shape[-2]
        mean = x.sum(-2) / max(n, 1)
        squares = (x - mean.unsqueeze(-2)).square().sum(-2)
        parts = torch.stack([mean, squares])  # (2, ..., D)
        mine = torch.cat([parts.flatten(), parts.new_full((1,), n)])
        gathered = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
        dist.all_gather(gathered, mine)
        everyone = torch.stack(gathered)  # (ranks, numbers)
        rows = everyone[:, -1].view(-1, *(1 for _ in mean.shape))  # (ranks, 1, ...)
        means, squares = everyone[:, :-1].view(-1, *parts.shape).unbind(1)  # (ranks, ..., D)
        count = rows.sum()
        mean = (means * rows).sum(0) / count
        var = (squares + rows * (means - mean).square()).sum(0) / count
        scale = torch.rsqrt(var + eps).unsqueeze(-2)
        out = (x - mean.unsqueeze(-2)) * scale
        ctx.save_for_backward(out, scale, count)
        ctx.mark_non_differentiable(mean, var, count)
        return out, mean, var, count

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor, *_):
        out, scale, count = ctx.saved_tensors
        sums = torch.stack([grad.sum(-2), (grad * out).sum(-2)])  # (2, ..., D)
        dist.all_reduce(sums)
        along_mean, along_scale = (sums / count).unsqueeze(-2)
        return (grad - along_mean - out * along_scale) * scale, None


class SyncBatchNorm1d(nn.BatchNorm1d):
    """`nn.BatchNorm1d` whose batch statistics are those of all ranks' rows together.

    Input and output (n, D); n may differ from rank to rank, and be 0 on some. With one process, or
    in eval mode, it is `nn.BatchNorm1d`; its state has the same keys either way.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.is_alone:
            return super().forward(x)
        return normalize_together([self], [x[None]])[0][0]

    @property
    def is_alone(self) -> bool:
        """Whether it asks no other rank."""
        return not (self.training and dist.is_initialized() and dist.get_world_size() > 1)


def normalize_together(norms: Sequence[SyncBatchNorm1d], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Several batch norms, each on K sets of rows (K, n, D) that it sees one after another.

    All of them ask the other ranks in one collective, and once on the way back.
    """
    if norms[0].is_alone:
        pairs = zip(norms, inputs, strict=True)
        return [torch.stack([norm(rows) for rows in x]) for norm, x in pairs]
    x = at_least_float32(torch.stack(list(inputs)))  # (norms, K, n, D)
    out, means, variances, count = _Normalize.apply(x, norms[0].eps)
    unbiased = variances * (count / (count - 1))
    outputs = []
    for norm, rows, *statistics in zip(norms, out, means, unbiased, strict=True):
        with torch.no_grad():
            for mean, variance in zip(*statistics, strict=True):
                norm.num_batches_tracked += 1
                norm.running_mean.lerp_(mean, norm.momentum)
                norm.running_var.lerp_(variance, norm.momentum)
        outputs.append(torch.addcmul(norm.bias, rows, norm.weight).to(inputs[0].dtype))
    return outputs
