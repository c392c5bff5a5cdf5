"""The losses of UmURL, as pure functions of the projectors' outputs."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from net.precision import at_least_float32

CONSISTENCY_WEIGHT = 5.0
VARIANCE_WEIGHT = 5.0


class _VarianceCovariance(torch.autograd.Function):
    """The variance and the covariance term, which share what is slow: (..., n, D) -> (...) twice.

    Their gradients are known in closed form. With c the centred outputs, s the sums of their
    squares, σ the standard deviations, and G = ccᵀ: of the variance term it is
    -c[σ < 1] / (σ (n - 1) D), and of the covariance term 4 (Gc - c s) / ((n - 1)² D). Both have a
    mean of zero over the batch already, as centring would give them.
    """

    @staticmethod
    def forward(ctx, z: Tensor) -> tuple[Tensor, Tensor]:
        n, width = z.shape[-2:]
        centred = z - z.mean(-2, keepdim=True)
        squares = centred.square().sum(-2)  # (..., D)
        std = torch.sqrt(squares / (n - 1) + 1e-4)
        # For centred z the matrices ZᵀZ (D×D) and ZZᵀ (n×n) have the same Frobenius norm, so the
        # smaller one is enough; the squares are the diagonal of ZᵀZ.
        gram = centred @ centred.mT if n <= width else centred.mT @ centred
        off_diagonal = gram.square().sum((-2, -1)) - squares.square().sum(-1)
        ctx.save_for_backward(centred, squares, std, gram)
        return F.relu(1 - std).mean(-1), off_diagonal / ((n - 1) ** 2 * width)

    @staticmethod
    @once_differentiable
    def backward(ctx, variance_grad: Tensor, covariance_grad: Tensor) -> Tensor:
        centred, squares, std, gram = ctx.saved_tensors
        n, width = centred.shape[-2:]
        pull = variance_grad[..., None] / ((n - 1) * width)
        push = covariance_grad[..., None] * (4 / ((n - 1) ** 2 * width))
        scale = -pull * (std < 1) / std - push * squares  # (..., D)
        gram = gram * push[..., None]
        product = gram @ centred if n <= width else centred @ gram
        return product.addcmul_(centred, scale[..., None, :])


def variance_term(z: Tensor) -> Tensor:
    """Hinge that keeps each dimension's standard deviation at 1 or more: (..., n, D) -> (...).

    Bardes et al., VICReg, ICLR 2022, equation 1.
    """
    return _VarianceCovariance.apply(z)[0]


def covariance_term(z: Tensor) -> Tensor:
    """Sum of squared off-diagonal covariances divided by D: (..., n, D) -> (...).

    VICReg, equation 3.
    """
    return _VarianceCovariance.apply(z)[1]


def regulariser(z: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted variance and covariance terms of each output: (..., n, D) -> (...), (...)."""
    variance, covariance = _VarianceCovariance.apply(z)
    return VARIANCE_WEIGHT * variance, covariance


def umurl_loss(own: Tensor, fused: Tensor) -> dict[str, Tensor]:
    """The loss of UmURL on the batch of all ranks (Sun et al. 2023, section 3.4).

    own: (3, n, D), each modality's own feature through its projector; fused: (3, n, D), the fused
    feature through the same three projectors; n >= 2. Computed in float32, or in double
    precision of double outputs, whatever the autocast. Returns scalars: `total` and what it is
    made of, `intra`, `inter` (before their weight), `variance`, `covariance` (as weighted in the
    total).
    """
    with torch.autocast(own.device.type, enabled=False):
        own, fused = at_least_float32(own), at_least_float32(fused)
        intra = 3 * F.mse_loss(own, fused)  # the sum of three means
        # The mean needs no gradient: the deviations from it sum to zero.
        mean = own.detach().mean(0, keepdim=True).expand_as(own)
        inter = 3 * F.mse_loss(own, mean)
        terms = regulariser(own), regulariser(fused)
        variance, covariance = (sum(term).sum() for term in zip(*terms, strict=True))
        total = CONSISTENCY_WEIGHT * (intra + inter) + variance + covariance
    return {
        "total": total,
        "intra": intra,
        "inter": inter,
        "variance": variance,
        "covariance": covariance,
    }


def baseline_loss(first: Tensor, second: Tensor) -> dict[str, Tensor]:
    """The loss of the simple baseline on the batch of all ranks (Sun et al. 2023, figure 2a).

    first, second: (..., n, D), the projected features of two views of the same clips; n >= 2.
    Computed in float32, or in double precision of double outputs, whatever the autocast. Returns
    scalars: `total` and what it is made of, `invariance` (before its weight), `variance`,
    `covariance` (as weighted in the total).
    """
    with torch.autocast(first.device.type, enabled=False):
        both = at_least_float32(torch.stack([first, second]))
        invariance = F.mse_loss(both[0], both[1])
        variance, covariance = (term.sum() for term in regulariser(both))
        total = CONSISTENCY_WEIGHT * invariance + variance + covariance
    return {
        "total": total,
        "invariance": invariance,
        "variance": variance,
        "covariance": covariance,
    }
