"""Batch norm over the batch of all ranks, on CPU and GPU (torch's SyncBatchNorm needs GPUs)."""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from net.moments import moments, pooled
from net.precision import at_least_float32


class _Normalize(torch.autograd.Function):
    """Subtract the mean of all ranks' rows, divide by their standard deviation.

    Each direction, forward and backward, needs one collective operation. Each rank sends its sum
    of squares about its own mean, so no two large numbers are subtracted, see net.moments.
    """

    @staticmethod
    def forward(ctx, x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Normalize each set of rows.

        x: (..., n, D), float32 or float64; n may be 0
        Returns the normalized rows (..., n, D), then the mean (..., D), the variance (..., D) and
        the number of all ranks' rows.
        """
        parts = torch.stack(moments(x))  # (2, ..., D)
        mine = torch.cat([parts.flatten(), parts.new_full((1,), x.shape[-2])])
        # torch.compile of torch 2.4 knows this collective, but not the one into a single tensor.
        gathered = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
        dist.all_gather(gathered, mine)
        everyone = torch.stack(gathered)  # (ranks, numbers)
        rows = everyone[:, -1].view(-1, *(1 for _ in parts.shape[1:]))  # (ranks, 1, ...)
        means, squares = everyone[:, :-1].view(-1, *parts.shape).unbind(1)  # (ranks, ..., D)
        mean, var, count = pooled(means, squares, rows)
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
    """`nn.BatchNorm1d` with the batch statistics of all ranks' rows.

    Input and output are (n, D); n may differ between ranks and may be 0. With one process, and in
    eval mode, this class does what `nn.BatchNorm1d` does. Its state has the same keys.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.is_alone:
            return super().forward(x)
        return normalize_together([self], [x[None]])[0][0]

    @property
    def is_alone(self) -> bool:
        """Whether this rank needs nothing from other ranks."""
        return not (self.training and dist.is_initialized() and dist.get_world_size() > 1)


def normalize_together(norms: Sequence[SyncBatchNorm1d], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Apply several batch norms, each to its own K sets of rows.

    inputs: for each batch norm (K, n, D); a batch norm takes its sets one after another
    Returns for each batch norm (K, n, D).

    One collective operation serves all batch norms, and one more in the backward pass.
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
