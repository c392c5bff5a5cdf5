"""The losses: UmURL (Sun et al., ACM MM 2023, section 3.4), its pair variant, the baseline.

A loss takes the projected features of the n clips of all ranks, as the model returns them, and
returns scalars: `total`, which is minimized, and its terms for the log. `variance` and `covariance`
are logged with their weights, all other terms without. The keyword arguments are the weights; each
is a flag of pretrain.py. Losses are computed in float32 (float64 for float64), also under autocast.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from net.distributed import at_least_float32


def variance_and_covariance(z: Tensor) -> tuple[Tensor, Tensor]:
    """The two regularizers of VICReg (Bardes et al., ICLR 2022, equations 1 to 4).

    z: (..., n, D), n >= 2
    Returns (...) twice: mean over D of relu(1 - standard deviation over n); sum of the squared
    off-diagonal covariances, divided by D.
    """
    n, width = z.shape[-2:]
    z = z - z.mean(-2, keepdim=True)
    squares = z.square().sum(-2)  # (..., D), the diagonal of ZᵀZ
    std = torch.sqrt(squares / (n - 1) + 1e-4)
    # ZZᵀ (n×n) and ZᵀZ (D×D) have the same Frobenius norm: take the smaller one.
    gram = z @ z.mT if n <= width else z.mT @ z
    off_diagonal = gram.square().sum((-2, -1)) - squares.square().sum(-1)
    return F.relu(1 - std).mean(-1), off_diagonal / ((n - 1) ** 2 * width)


def umurl_loss(
    unimodal: Tensor,
    fused: Tensor,
    *,
    intra_weight: float = 5.0,
    inter_weight: float = 5.0,
    variance_weight: float = 5.0,
    covariance_weight: float = 1.0,
) -> dict[str, Tensor]:
    """The loss of UmURL: {"total", "intra", "inter", "variance", "covariance"}.

    unimodal: (3, n, D), joint, bone and motion, each through its own projector
    fused: (3, n, D), the fused feature through the same three projectors

    >>> z = torch.zeros(3, 8, 64)
    >>> umurl_loss(z, z)["intra"]
    tensor(0.)
    """
    with torch.autocast(unimodal.device.type, enabled=False):
        unimodal, fused = at_least_float32(unimodal), at_least_float32(fused)
        # Intra-modal: each modality against the fused feature; sum of three mean squared errors.
        intra = 3 * F.mse_loss(unimodal, fused)
        # Inter-modal: each modality against the mean of the three.
        inter = 3 * F.mse_loss(unimodal, unimodal.mean(0, keepdim=True).expand_as(unimodal))
        # Regularization of all six outputs.
        (v1, c1), (v2, c2) = variance_and_covariance(unimodal), variance_and_covariance(fused)
        variance = variance_weight * (v1 + v2).sum()
        covariance = covariance_weight * (c1 + c2).sum()
        total = intra_weight * intra + inter_weight * inter + variance + covariance
    terms = {"intra": intra, "inter": inter, "variance": variance, "covariance": covariance}
    return {"total": total, **terms}


def pair_loss(
    unimodal: Tensor,
    fused: Tensor,
    second: Tensor,
    *,
    invariance_weight: float = 5.0,
    **weights: float,
) -> dict[str, Tensor]:
    """UmURL's loss plus the distance between two fused views: its terms and "invariance".

    unimodal, fused, weights: as `umurl_loss` takes them
    second: (3, n, D), the second fused view through the same three projectors
    """
    terms = umurl_loss(unimodal, fused, **weights)
    with torch.autocast(fused.device.type, enabled=False):
        invariance = 3 * F.mse_loss(at_least_float32(fused), at_least_float32(second))
        total = terms["total"] + invariance_weight * invariance
    return terms | {"total": total, "invariance": invariance}


def baseline_loss(
    first: Tensor,
    second: Tensor,
    *,
    invariance_weight: float = 5.0,
    variance_weight: float = 5.0,
    covariance_weight: float = 1.0,
) -> dict[str, Tensor]:
    """The loss of the simple baseline: {"total", "invariance", "variance", "covariance"}.

    first, second: (..., n, D), two views of the same clips through the same projector
    """
    with torch.autocast(first.device.type, enabled=False):
        both = at_least_float32(torch.stack([first, second]))
        invariance = F.mse_loss(both[0], both[1])
        variance, covariance = variance_and_covariance(both)
        variance = variance_weight * variance.sum()
        covariance = covariance_weight * covariance.sum()
        total = invariance_weight * invariance + variance + covariance
    terms = {"invariance": invariance, "variance": variance, "covariance": covariance}
    return {"total": total, **terms}
