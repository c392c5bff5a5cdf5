"""The losses of the methods: functions of the projected features.

If several ranks are given, a loss gets the m clips of this rank, and returns this rank's share of
each scalar: the sum of the shares of all ranks is the loss of all n clips. The gradient is the one
of the sum. So each rank computes only the rows of the Gram matrices that belong to its own clips.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.linalg import vector_norm

from net.methods import BaselineSettings, HalvesSettings, PairSettings, UmURLSettings
from net.precision import at_least_float32
from net.ranks import ALONE, Ranks

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
    def forward(ctx, own: Tensor, everyone: Tensor, ranks: Ranks) -> tuple[Tensor, Tensor]:
        """This rank's shares of the two terms; their gradients are those of the whole terms.

        own: (..., m, D), this rank's clips
        everyone: (..., n, D), the clips of all ranks
        """
        alone = ranks.number == 1
        n, width = everyone.shape[-2:]
        centered = everyone - everyone.mean(-2, keepdim=True, dtype=own.dtype)
        # (..., D); a norm is one pass over all clips, a sum of squares the published order.
        squares = centered.square().sum(-2) if alone else vector_norm(centered, dim=-2).square()
        std = torch.sqrt(squares / (n - 1) + 1e-4)
        mine = ranks.own(centered)  # (..., m, D)
        own_squares = squares if alone else vector_norm(mine, dim=-2).square()
        # For centered Z the matrices ZᵀZ (D×D) and ZZᵀ (n×n) have the same Frobenius norm, so the
        # smaller matrix is enough. `squares` is the diagonal of ZᵀZ. Ranks compute rows of ZZᵀ.
        ctx.by_rows = n <= width or not alone
        gram = mine @ centered.mT if ctx.by_rows else centered.mT @ centered
        off_diagonal = gram.square().sum((-2, -1)) - (squares * own_squares).sum(-1)
        ctx.save_for_backward(mine, centered, squares, std, gram)
        variance = F.relu(1 - std).mean(-1)
        variance = variance if alone else variance / ranks.number
        return variance, off_diagonal / ((n - 1) ** 2 * width)

    @staticmethod
    @once_differentiable
    def backward(ctx, variance_grad: Tensor, covariance_grad: Tensor):
        mine, centered, squares, std, gram = ctx.saved_tensors
        n, width = centered.shape[-2:]
        pull = variance_grad[..., None] / ((n - 1) * width)
        push = covariance_grad[..., None] * (4 / ((n - 1) ** 2 * width))
        scale = -pull * (std < 1) / std - push * squares  # (..., D)
        gram = gram * push[..., None]
        product = gram @ centered if ctx.by_rows else centered @ gram
        return product.addcmul_(mine, scale[..., None, :]), None, None


def variance_term(z: Tensor) -> Tensor:
    """Mean over D of relu(1 - standard deviation over n): z (..., n, D) -> (...).

    Bardes et al., VICReg, ICLR 2022, equation 1.
    """
    return _VarianceCovariance.apply(z, z, ALONE)[0]


def covariance_term(z: Tensor) -> Tensor:
    """Sum of the squared off-diagonal covariances, divided by D: z (..., n, D) -> (...).

    Bardes et al., VICReg, ICLR 2022, equation 3.
    """
    return _VarianceCovariance.apply(z, z, ALONE)[1]


def regularizer(
    settings: UmURLSettings | BaselineSettings,
    outputs: Sequence[Tensor],
    precise: Sequence[Tensor],
    ranks: Ranks = ALONE,
) -> dict[str, Tensor]:
    """The weighted variance term and covariance term, each summed over all outputs.

    settings: the weights of the terms
    outputs: each (..., m, D), projected features; ranks send them to each other in this precision
    precise: the outputs in float32 or float64
    ranks: whose clips they are
    Returns scalars {"variance": ..., "covariance": ...}, without a term whose weight is 0. If both
    weights are 0, nothing is computed.
    """
    weights = {"variance": settings.variance_weight, "covariance": settings.covariance_weight}
    if not any(weights.values()):
        return {}
    everyone = precise
    if ranks.number > 1:  # in one collective, clips first, as they are sent
        together = torch.stack([x.detach().movedim(-2, 0) for x in outputs], dim=1)
        everyone = ranks.gather(together.movedim(0, -2))
    terms = {"variance": 0, "covariance": 0}
    for own, all_clips in zip(precise, everyone, strict=True):
        pair = _VarianceCovariance.apply(own, all_clips, ranks)  # (...) each
        for name, term in zip(terms, pair, strict=True):
            terms[name] += weights[name] * term
    return {name: term.sum() for name, term in terms.items() if weights[name]}


def mean_square(a: Tensor, b: Tensor, ranks: Ranks = ALONE) -> Tensor:
    """The mean squared difference of features (..., m, D), a scalar."""
    if ranks.number == 1:
        return F.mse_loss(a, b)
    numbers = math.prod(a.shape[:-2]) * ranks.clips(a) * a.shape[-1]
    return F.mse_loss(a, b, reduction="sum") / numbers  # 0 if this rank has no clip


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
    ranks: Ranks = ALONE,
) -> dict[str, Tensor]:
    """The loss of UmURL on the n clips of all ranks (Sun et al. 2023, section 3.4).

    unimodal: (3, n, D), the feature of each modality alone, through its projector; n >= 2
    fused: (3, n, D), the fused feature, through the same three projectors
    feature: (n, F), the fused feature; not used
    settings: the weights of the terms
    ranks: if there are several, the features are (3, m, D), those of this rank's clips

    Returns scalars: `total` and its terms. `intra` and `inter` are given without their weights;
    `variance` and `covariance` include their weights and are absent where the weight is 0. The
    loss is computed in float32, or in float64 for float64 inputs; autocast does not change this.
    """
    with torch.autocast(unimodal.device.type, enabled=False):
        outputs = unimodal, fused
        unimodal, fused = map(at_least_float32, outputs)
        intra = 3 * mean_square(unimodal, fused, ranks)  # the sum of the three modalities' means
        # The mean needs no gradient: the deviations from the mean sum to zero.
        mean = unimodal.detach().mean(0, keepdim=True).expand_as(unimodal)
        inter = 3 * mean_square(unimodal, mean, ranks)
        consistency = weighted_sum((settings.intra_weight, intra), (settings.inter_weight, inter))
        spread = regularizer(settings, outputs, (unimodal, fused), ranks)
        total = sum(spread.values(), consistency)
    return {"total": total, "intra": intra, "inter": inter, **spread}


def halves_loss(
    unimodal: Tensor,
    fused: Tensor,
    temporal: Tensor,
    spatial: Tensor,
    feature: Tensor | None = None,
    settings: HalvesSettings = HALVES,
    ranks: Ranks = ALONE,
) -> dict[str, Tensor]:
    """UmURL's loss on the features and on their halves, as in USDRL (Weng et al., AAAI 2025).

    unimodal, fused, feature: as `umurl_loss` takes them
    temporal, spatial: each (2, 3, n, D), the projected half of the fused feature, then the
        projected halves of the features of each modality alone
    settings: the weights of the terms

    Returns the scalars of `umurl_loss`, and `temporal` and `spatial`: UmURL's loss on each half,
    without its weight. `total` is the weighted sum of all three losses.
    """
    terms = umurl_loss(unimodal, fused, feature, settings, ranks)
    halves = {}
    for name, (fused, unimodal) in {"temporal": temporal, "spatial": spatial}.items():
        halves[name] = umurl_loss(unimodal, fused, feature, settings, ranks)["total"]
    total = terms["total"] + settings.temporal_weight * halves["temporal"]
    return terms | halves | {"total": total + settings.spatial_weight * halves["spatial"]}


def pair_loss(
    unimodal: Tensor,
    fused: Tensor,
    second: Tensor,
    feature: Tensor | None = None,
    settings: PairSettings = PAIR,
    ranks: Ranks = ALONE,
) -> dict[str, Tensor]:
    """UmURL's loss, and the distance between the fused features of two views.

    unimodal, fused, feature: as `umurl_loss` takes them
    second: (3, n, D), the fused feature of the other view, through the same three projectors
    settings: the weights of the terms

    Returns the scalars of `umurl_loss`, and `invariance`: the distance, without its weight.
    """
    terms = umurl_loss(unimodal, fused, feature, settings, ranks)
    with torch.autocast(fused.device.type, enabled=False):
        # The sum of the three projectors' means, as for the other distances.
        invariance = 3 * mean_square(at_least_float32(fused), at_least_float32(second), ranks)
    total = terms["total"] + settings.invariance_weight * invariance
    return terms | {"total": total, "invariance": invariance}


def baseline_loss(
    first: Tensor,
    second: Tensor,
    feature: Tensor | None = None,
    settings: BaselineSettings = BASELINE,
    ranks: Ranks = ALONE,
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
        outputs = torch.stack([first, second])
        both = at_least_float32(outputs)
        invariance = mean_square(both[0], both[1], ranks)
        spread = regularizer(settings, [outputs], [both], ranks)
        total = sum(spread.values(), settings.invariance_weight * invariance)
    return {"total": total, "invariance": invariance, **spread}
