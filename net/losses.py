"""The losses of UmURL, as pure functions of the projectors' outputs."""

import torch
import torch.nn.functional as F
from torch import Tensor

CONSISTENCY_WEIGHT = 5.0
VARIANCE_WEIGHT = 5.0


def centre(z: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs less their mean over the batch, and the sums of their squares.

    z: (..., n, D) -> centred (..., n, D), squares (..., D).
    """
    centred = z - z.mean(-2, keepdim=True)
    return centred, centred.square().sum(-2)


def variance_term(z: Tensor) -> Tensor:
    """Hinge that keeps each dimension's standard deviation at 1 or more: (..., n, D) -> (...).

    Bardes et al., VICReg, ICLR 2022, equation 1.
    """
    return _variance_term(*centre(z))


def _variance_term(centred: Tensor, squares: Tensor) -> Tensor:
    variance = squares / (centred.shape[-2] - 1)
    return F.relu(1 - torch.sqrt(variance + 1e-4)).mean(-1)


def covariance_term(z: Tensor) -> Tensor:
    """Sum of squared off-diagonal covariances divided by D: (..., n, D) -> (...).

    VICReg, equation 3. For centred z the matrices ZᵀZ (D×D) and ZZᵀ (n×n) have the same Frobenius
    norm, so the smaller one is enough; its share of the diagonal of ZᵀZ is taken off.
    """
    return _covariance_term(*centre(z))


def _covariance_term(centred: Tensor, squares: Tensor) -> Tensor:
    n, width = centred.shape[-2:]
    gram = centred @ centred.mT if n <= width else centred.mT @ centred
    # The squares are the diagonal of ZᵀZ.
    off_diagonal = gram.square().sum((-2, -1)) - squares.square().sum(-1)
    return off_diagonal / ((n - 1) ** 2 * width)


def regulariser(z: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted variance and covariance terms of each output: (..., n, D) -> (...), (...)."""
    centred, squares = centre(z)  # once for both
    return VARIANCE_WEIGHT * _variance_term(centred, squares), _covariance_term(centred, squares)


def umurl_loss(own: Tensor, fused: Tensor) -> dict[str, Tensor]:
    """The loss of UmURL on the batch of all ranks (Sun et al. 2023, section 3.4).

    own: (3, n, D), each modality's own feature through its projector; fused: (3, n, D), the fused
    feature through the same three projectors; n >= 2. Computed in float32 whatever the autocast.
    Returns scalars: `total` and what it is made of, `intra`, `inter` (before their weight),
    `variance`, `covariance` (as weighted in the total).
    """
    with torch.autocast(own.device.type, enabled=False):
        own, fused = own.float(), fused.float()
        intra = 3 * F.mse_loss(own, fused)  # the sum of three means
        inter = 3 * F.mse_loss(own, own.mean(0, keepdim=True).expand_as(own))
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
    Computed in float32 whatever the autocast. Returns scalars: `total` and what it is made of,
    `invariance` (before its weight), `variance`, `covariance` (as weighted in the total).
    """
    with torch.autocast(first.device.type, enabled=False):
        both = torch.stack([first.float(), second.float()])
        invariance = F.mse_loss(both[0], both[1])
        variance, covariance = (term.sum() for term in regulariser(both))
        total = CONSISTENCY_WEIGHT * invariance + variance + covariance
    return {
        "total": total,
        "invariance": invariance,
        "variance": variance,
        "covariance": covariance,
    }
