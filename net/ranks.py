"""The processes that a batch is divided among, where its clips meet: in a loss."""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Ranks:
    """How a batch is divided. shares: clips of each rank, 0 of some perhaps; rank: which is this.

    Without shares, or with one, there are no other ranks.
    """

    shares: tuple[int, ...] = ()
    rank: int = 0

    @property
    def number(self) -> int:
        """How many they are."""
        return max(len(self.shares), 1)

    def clips(self, own: Tensor) -> int:
        """How many clips all ranks have, this one those of `own` (..., clips, D)."""
        return own.shape[-2] if self.number == 1 else sum(self.shares)

    def gather(self, own: Tensor) -> Tensor:
        """The clips of all ranks, in their order: (..., own clips, D) -> (..., all clips, D).

        Its gradient is right for a loss that every rank computes alike of all clips: then that of
        a rank's own clips is the same on all ranks, and needs no sum.
        """
        return own if self.number == 1 else _Gather.apply(own, self.shares, self.rank)


ALONE = Ranks()


class _Gather(torch.autograd.Function):
    """The clips of all ranks; the gradient goes back to each rank's own."""

    @staticmethod
    def forward(ctx, own: Tensor, shares: tuple[int, ...], rank: int) -> Tensor:
        ctx.shares, ctx.rank = shares, rank
        # Collectives want equal shapes: the smaller shares are padded and cut again.
        padded = own
        if own.shape[-2] < max(shares):
            padded = own.new_zeros(*own.shape[:-2], max(shares), own.shape[-1])
            padded[..., : own.shape[-2], :] = own
        gathered = [torch.empty_like(padded) for _ in shares]
        dist.all_gather(gathered, padded.contiguous())
        parts = zip(gathered, shares, strict=True)
        return torch.cat([part[..., :n, :] for part, n in parts], dim=-2)

    @staticmethod
    def backward(ctx, grad: Tensor):
        first = sum(ctx.shares[: ctx.rank])
        return grad[..., first : first + ctx.shares[ctx.rank], :], None, None
