"""Batch norm over the batch of all ranks, on any backend (torch's own SyncBatchNorm needs GPUs)."""

import torch
import torch.distributed as dist
from torch import Tensor, nn


class _SumOverRanks(torch.autograd.Function):
    """Sum of a tensor over all ranks; its gradient is summed over all ranks too."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        total = grad.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


class SyncBatchNorm1d(nn.BatchNorm1d):
    """`nn.BatchNorm1d` whose batch statistics are those of all ranks' rows together.

    Input and output (n, D); n may differ from rank to rank. With one process, or in eval mode, it
    is `nn.BatchNorm1d`; its state has the same keys either way.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and dist.is_initialized() and dist.get_world_size() > 1):
            return super().forward(x)
        rows = x.float()
        sums = torch.cat([rows.sum(0), rows.new_tensor([rows.shape[0]])])  # (D + 1,)
        sums = _SumOverRanks.apply(sums)
        count, mean = sums[-1].detach(), sums[:-1] / sums[-1].detach()
        centred = rows - mean
        var = _SumOverRanks.apply(centred.square().sum(0)) / count  # (D,)
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (count / (count - 1)), self.momentum)
        out = centred * torch.rsqrt(var + self.eps)
        return torch.addcmul(self.bias, out, self.weight).to(x.dtype)
