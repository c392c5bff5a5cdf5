"""The simple baseline: what it computes, against the plain formulas."""

import numpy as np
import pytest
import torch

from net.baseline import Baseline
from net.losses import baseline_loss
from net.methods import METHODS
from net.modalities import MODALITIES, derive
from tests import golden_files

SIZES = {"hidden_size": 12, "num_head": 2, "num_layer": 1, "projector_width": 20}


def test_the_loss_is_the_plain_formula_with_the_published_regularizer():
    figures = golden_files.load("loss_small")
    z = [torch.from_numpy(figures[f"z{i}"]).double() for i in (0, 3)]
    terms = baseline_loss(*(part[None] for part in z))  # as the network gives them: (1, n, D)
    invariance = np.square(z[0].numpy() - z[1].numpy()).mean()
    regularizer = figures["vc"][0] + figures["vc"][3]
    assert terms["invariance"].item() == pytest.approx(invariance, rel=1e-9)
    assert terms["total"].item() == pytest.approx(5 * invariance + regularizer, rel=1e-4)
    parts = 5 * terms["invariance"] + terms["variance"] + terms["covariance"]
    torch.testing.assert_close(terms["total"], parts)


def test_both_views_are_fused_and_projected_with_batch_statistics_of_their_own():
    torch.manual_seed(0)
    model = Baseline(**SIZES).double().train()
    views = torch.randn(4, 6, 64, 2, 25, 3, dtype=torch.float64)
    first, second, feature = model(views)
    assert first.shape == second.shape == (1, 6, 20) and feature.shape == (6, 24)
    for view, z in zip(views[:2], (first, second), strict=True):
        alone = model.projector(model.encoder(derive(view)))
        torch.testing.assert_close(z, alone)
    torch.testing.assert_close(feature, model.encoder(derive(views[0])))
    torch.testing.assert_close(model(views[:2])[1], second)


@pytest.mark.parametrize("modality", MODALITIES)
def test_of_one_modality_the_others_take_no_part(modality):
    torch.manual_seed(0)
    method = METHODS[modality]
    model = method.load_model()(**SIZES).double().train()
    views = torch.randn(4, 6, 64, 2, 25, 3, dtype=torch.float64)
    first, second, feature = model(views)
    alone = [model.encoder(derive(view, (modality,))) for view in views[:2]]
    torch.testing.assert_close(feature, alone[0])
    torch.testing.assert_close(torch.cat([first, second]), model.projector(*alone))
    baseline_loss(first, second)["total"].backward()
    still = {name for name, w in model.named_parameters() if w.grad is None}
    others = set(MODALITIES) - {modality} | {"fusion"}
    assert still == {name for name, _ in model.named_parameters() if others & {*name.split(".")}}
    assert method.modalities == (modality,)


def test_every_weight_learns():
    torch.manual_seed(0)
    model = Baseline(**SIZES).train()
    views = torch.randn(2, 6, 64, 2, 25, 3)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    totals = []
    for _ in range(8):
        first, second, _ = model(views)
        terms = baseline_loss(first, second)
        optimizer.zero_grad()
        terms["total"].backward()
        optimizer.step()
        totals.append(terms["total"].item())
    assert totals[-1] < totals[0]
    # Biases that a later batch norm takes away again, and those of keys, have no gradient.
    still = {name for name, w in model.named_parameters() if not w.grad.any()}
    assert all(name.endswith("bias") for name in still)
