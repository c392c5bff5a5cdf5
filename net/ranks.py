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

    def own(self, everyone: Tensor) -> Tensor:
        """This rank's clips of those of all ranks: (..., all clips, D) -> (..., own clips, D)."""
        if self.number == 1:
            return everyone
        return everyone.narrow(-2, sum(self.shares[: self.rank]), self.shares[self.rank])

    def gather(self, own: Tensor) -> Tensor:
        """The clips of all ranks, in their order: (..., own clips, D) -> (..., all clips, D).

        Its gradient is right for a loss that every rank computes alike of all clips: then that of
        a rank's own clips is the same on all ranks, and needs no sum.
        """
        return own if self.number == 1 else _Gather.apply(own, self)


ALONE = Ranks()
# Newer versions of torch call it by another name.
all_gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor


class _Gather(torch.autograd.Function):
    """The clips of all ranks; the gradient goes back to each rank's own."""

    @staticmethod
    def forward(ctx, own: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks, shares = ranks, ranks.shares
        # Clips first, so that those of all ranks come to lie one after another in one tensor.
        mine, most = own.movedim(-2, 0), max(shares)
        if len(mine) < most:  # collectives want equal shapes: what is added is cut out again
            mine = torch.cat([mine, mine.new_zeros(most - len(mine), *mine.shape[1:])])
        clips = mine.new_empty(len(shares) * most, *mine.shape[1:])
        all_gather(clips, mine.contiguous())
        if min(shares) < most:
            pieces = zip(clips.split(most), shares, strict=True)
            clips = torch.cat([piece[:n] for piece, n in pieces])
        return clips.movedim(0, -2)

    @staticmethod
    def backward(ctx, grad: Tensor):
        return ctx.ranks.own(grad), None
