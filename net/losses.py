"""The losses of the methods: pure functions of the projected features."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from net.methods import BaselineSettings, HalvesSettings, PairSettings, UmURLSettings
from net.precision import at_least_float32

UMURL, HALVES, BASELINE = UmURLSettings(), HalvesSettings(), BaselineSettings()
PAIR = PairSettings()


class _VarianceCovariance(torch.autograd.Function):
    """The variance term and the covariance term, which share the slow steps.

    z: (..., n, D), projected features -> two tensors (...)

    Both gradients have a closed form. Let c be the centered z, s the sums of its squares over the
    batch, σ the standard deviations, and G = ccᵀ. The gradient of the variance term is
    -c[σ < 1] / (σ (n - 1) D), the gradient of the covariance term 4 (Gc - c s) / ((n - 1)² D). The
    mean of each over the batch is zero, so the centering needs no backward step of its own.
    """

    @staticmethod
    def forward(ctx, z: Tensor) -> tuple[Tensor, Tensor]:
        n, width = z.shape[-2:]
        centered = z - z.mean(-2, keepdim=True)
        squares = centered.square().sum(-2)  # (..., D)
        std = torch.sqrt(squares / (n - 1) + 1e-4)
        # For centered Z the matrices ZᵀZ (D×D) and ZZᵀ (n×n) have the same Frobenius norm, so the
        # smaller matrix is enough. `squares` is the diagonal of ZᵀZ.
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
    """Mean over D of relu(1 - standard deviation over n): z (..., n, D) -> (...).

    Bardes et al., VICReg, ICLR 2022, equation 1.
    """
    return _VarianceCovariance.apply(z)[0]


def covariance_term(z: Tensor) -> Tensor:
    """Sum of the squared off-diagonal covariances, divided by D: z (..., n, D) -> (...).

    Bardes et al., VICReg, ICLR 2022, equation 3.
    """
    return _VarianceCovariance.apply(z)[1]


def regularizer(
    variance_weight: float, covariance_weight: float, *outputs: Tensor
) -> dict[str, Tensor]:
    """The weighted variance term and covariance term, each summed over all outputs.

    outputs: each (..., n, D), projected features
    Returns scalars {"variance": ..., "covariance": ...}, without a term whose weight is 0. If both
    weights are 0, nothing is computed.
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
    """The sum of weight · term over pairs (weight, term), a scalar.

    The greatest weight is multiplied last. So equal weights w give the same float as w · Σ term.
    """
    greatest = max(weight for weight, _ in pairs)
    return greatest * sum(weight / (greatest or 1) * term for weight, term in pairs)


def umurl_loss(
    unimodal: Tensor,
    fused: Tensor,
    feature: Tensor | None = None,
    settings: UmURLSettings = UMURL,
) -> dict[str, Tensor]:
    """The loss of UmURL on the n clips of all ranks (Sun et al. 2023, section 3.4).

    unimodal: (3, n, D), the feature of each modality alone, through its projector; n >= 2
    fused: (3, n, D), the fused feature, through the same three projectors
    feature: (n, F), the fused feature; not used
    settings: the weights of the terms

    Returns scalars: `total` and its terms. `intra` and `inter` are given without their weights;
    `variance` and `covariance` include their weights and are absent where the weight is 0. The
    loss is computed in float32, or in float64 for float64 inputs; autocast does not change this.
    """
    with torch.autocast(unimodal.device.type, enabled=False):
        unimodal, fused = at_least_float32(unimodal), at_least_float32(fused)
        intra = 3 * F.mse_loss(unimodal, fused)  # the sum of the three modalities' means
        # The mean needs no gradient: the deviations from the mean sum to zero.
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
    """UmURL's loss on the features and on their halves, as in USDRL (Weng et al., AAAI 2025).

    unimodal, fused, feature: as `umurl_loss` takes them
    temporal, spatial: each (2, 3, n, D), the projected half of the fused feature, then the
        projected halves of the features of each modality alone
    settings: the weights of the terms

    Returns the scalars of `umurl_loss`, and `temporal` and `spatial`: UmURL's loss on each half,
    without its weight. `total` is the weighted sum of all three losses.
    """
    terms = umurl_loss(unimodal, fused, feature, settings)
    halves = {}
    for name, (fused, unimodal) in {"temporal": temporal, "spatial": spatial}.items():
        halves[name] = umurl_loss(unimodal, fused, feature, settings)["total"]
    total = terms["total"] + settings.temporal_weight * halves["temporal"]
    return terms | halves | {"total": total + settings.spatial_weight * halves["spatial"]}


def pair_loss(
    unimodal: Tensor,
    fused: Tensor,
    second: Tensor,
    feature: Tensor | None = None,
    settings: PairSettings = PAIR,
) -> dict[str, Tensor]:
    """UmURL's loss, and the distance between the fused features of two views.

    unimodal, fused, feature: as `umurl_loss` takes them
    second: (3, n, D), the fused feature of the other view, through the same three projectors
    settings: the weights of the terms

    Returns the scalars of `umurl_loss`, and `invariance`: the distance, without its weight.
    """
    terms = umurl_loss(unimodal, fused, feature, settings)
    with torch.autocast(fused.device.type, enabled=False):
        # The sum of the three projectors' means, as of the other distances.
        invariance = 3 * F.mse_loss(at_least_float32(fused), at_least_float32(second))
    total = terms["total"] + settings.invariance_weight * invariance
    return terms | {"total": total, "invariance": invariance}


def baseline_loss(
    first: Tensor,
    second: Tensor,
    feature: Tensor | None = None,
    settings: BaselineSettings = BASELINE,
) -> dict[str, Tensor]:
    """The loss of the simple baseline on the n clips of all ranks (Sun et al. 2023, figure 2a).

    first, second: (..., n, D), the projected features of two views of the same clips; n >= 2
    feature: (n, F), the feature of the first view; not used
    settings: the weights of the terms

    Returns scalars: `total` and its terms. `invariance` is given without its weight; `variance` and
    `covariance` include their weights and are absent where the weight is 0. The precision is that
    of `umurl_loss`.
    """
    with torch.autocast(first.device.type, enabled=False):
        both = at_least_float32(torch.stack([first, second]))
        invariance = F.mse_loss(both[0], both[1])
        spread = regularizer(settings.variance_weight, settings.covariance_weight, both)
        total = sum(spread.values(), settings.invariance_weight * invariance)
    return {"total": total, "invariance": invariance, **spread}
