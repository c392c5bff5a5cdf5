"""The losses of the methods, as pure functions of the projectors' outputs."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from net.methods import BaselineSettings, HalvesSettings, UmURLSettings
from net.precision import at_least_float32

UMURL, HALVES, BASELINE = UmURLSettings(), HalvesSettings(), BaselineSettings()  # published


class _VarianceCovariance(torch.autograd.Function):
    """The variance and the covariance term, which share what is slow: (..., n, D) -> (...) twice.

    Their gradients are known in closed form. With c the centered outputs, s the sums of their
    squares, σ the standard deviations, and G = ccᵀ: of the variance term it is
    -c[σ < 1] / (σ (n - 1) D), and of the covariance term 4 (Gc - c s) / ((n - 1)² D). Both have a
    mean of zero over the batch already, as centering would give them.
    """

    @staticmethod
    def forward(ctx, z: Tensor) -> tuple[Tensor, Tensor]:
        n, width = z.shape[-2:]
        centered = z - z.mean(-2, keepdim=True)
        squares = centered.square().sum(-2)  # (..., D)
        std = torch.sqrt(squares / (n - 1) + 1e-4)
        # For centered z the matrices ZᵀZ (D×D) and ZZᵀ (n×n) have the same Frobenius norm, so the
        # smaller one is enough; the squares are the diagonal of ZᵀZ.
        gram = centered @ centered.mT if n <= width else centered.mT @ centered
        off_diagonal = gram.square().sum((-2, -1)) - squares.square().sum(-1)
        ctx.save_for_backward(centered, squares, std, gram)
        return F.relu(1 - std).mean(-1), off_diagonal / ((n - 1) ** 2 * width)

    @staticmethod
    @once_differentiable
    def backward(ctx, variance_grad: Tensor, covariance_grad: Tensor) -> Tensor:
        centered, squares, std, gram = ctx.saved_tensors
        n, width = centered.shape[-2:]
        pull = variance_grad[..., None] / ((n - 1) * width)
        push = covariance_grad[..., None] * (4 / ((n - 1) ** 2 * width))
        scale = -pull * (std < 1) / std - push * squares  # (..., D)
        gram = gram * push[..., None]
        product = gram @ centered if n <= width else centered @ gram
        return product.addcmul_(centered, scale[..., None, :])


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


def regularizer(
    variance_weight: float, covariance_weight: float, *outputs: Tensor
) -> dict[str, Tensor]:
    """The variance and the covariance term of all outputs, each (..., n, D), as scalars.

    Both are weighted; a term of weight 0 is absent and, where both are, costs nothing.
    """
    if not variance_weight and not covariance_weight:
        return {}
    pairs = [_VarianceCovariance.apply(z) for z in outputs]
    terms = {"variance": 0, "covariance": 0}
    for variance, covariance in pairs:  # (...) each
        terms["variance"] += variance_weight * variance
        terms["covariance"] += covariance_weight * covariance
    weights = {"variance": variance_weight, "covariance": covariance_weight}
    return {name: term.sum() for name, term in terms.items() if weights[name]}


def weighted_sum(*pairs: tuple[float, Tensor]) -> Tensor:
    """Σ weight · term of pairs (weight, term), a scalar.

    The greatest weight is multiplied last, so equal weights w round as w · Σ term does.
    """
    greatest = max(weight for weight, _ in pairs)
    return greatest * sum(weight / (greatest or 1) * term for weight, term in pairs)


def umurl_loss(
    unimodal: Tensor,
    fused: Tensor,
    feature: Tensor | None = None,
    settings: UmURLSettings = UMURL,
) -> dict[str, Tensor]:
    """The loss of UmURL on the batch of all ranks (Sun et al. 2023, section 3.4).

    unimodal: (3, n, D), each modality's own feature through its projector; fused: (3, n, D), the
    fused feature through the same three projectors; n >= 2; feature: (n, 2H), not used. Computed
    in float32, or in double precision of double outputs, whatever the autocast.
    Returns scalars: `total` and what it is made of, `intra`, `inter` (before their weights),
    `variance`, `covariance` (as weighted in the total; absent where their weight is 0).
    """
    with torch.autocast(unimodal.device.type, enabled=False):
        unimodal, fused = at_least_float32(unimodal), at_least_float32(fused)
        intra = 3 * F.mse_loss(unimodal, fused)  # the sum of three means
        # The mean needs no gradient: the deviations from it sum to zero.
        mean = unimodal.detach().mean(0, keepdim=True).expand_as(unimodal)
        inter = 3 * F.mse_loss(unimodal, mean)
        consistency = weighted_sum((settings.intra_weight, intra), (settings.inter_weight, inter))
        spread = regularizer(settings.variance_weight, settings.covariance_weight, unimodal, fused)
        total = sum(spread.values(), consistency)
    return {"total": total, "intra": intra, "inter": inter, **spread}


def halves_loss(
    unimodal: Tensor,
    fused: Tensor,
    temporal: Tensor,
    spatial: Tensor,
    feature: Tensor | None = None,
    settings: HalvesSettings = HALVES,
) -> dict[str, Tensor]:
    """UmURL's loss on whole features, and on their temporal and spatial halves (as USDRL does).

    unimodal, fused: as of `umurl_loss`; temporal, spatial: (2, 3, n, D), of each half the projected
    fused and unimodal ones. Returns the scalars of `umurl_loss`, and `temporal` and `spatial`, the
    losses of the halves before their weights; `total` is of all.
    """
    terms = umurl_loss(unimodal, fused, feature, settings)
    halves = {}
    for name, (fused, unimodal) in {"temporal": temporal, "spatial": spatial}.items():
        halves[name] = umurl_loss(unimodal, fused, feature, settings)["total"]
    total = terms["total"] + settings.temporal_weight * halves["temporal"]
    return terms | halves | {"total": total + settings.spatial_weight * halves["spatial"]}


def baseline_loss(
    first: Tensor,
    second: Tensor,
    feature: Tensor | None = None,
    settings: BaselineSettings = BASELINE,
) -> dict[str, Tensor]:
    """The loss of the simple baseline on the batch of all ranks (Sun et al. 2023, figure 2a).

    first, second: (..., n, D), the projected features of two views of the same clips; n >= 2;
    feature: (n, 2H), not used. Computed in float32, or in double precision of double outputs,
    whatever the autocast. Returns scalars: `total` and what it is made of, `invariance` (before
    its weight), `variance`, `covariance` (as weighted in the total; absent where their weight is
    0).
    """
    with torch.autocast(first.device.type, enabled=False):
        both = at_least_float32(torch.stack([first, second]))
        invariance = F.mse_loss(both[0], both[1])
        spread = regularizer(settings.variance_weight, settings.covariance_weight, both)
        total = sum(spread.values(), settings.invariance_weight * invariance)
    return {"total": total, "invariance": invariance, **spread}
