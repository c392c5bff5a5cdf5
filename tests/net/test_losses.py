"""The losses against the published figures, the textbook formulas and the plain reading."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from net.losses import baseline_loss, pair_loss, umurl_loss, variance_and_covariance
from tests.golden_files import load
from tests.literal import model as literal


@pytest.mark.parametrize("name", ["loss_small", "loss_wide"])
def test_terms_and_gradients_match_the_published_ones(name):
    golden = load(name)
    z = torch.from_numpy(np.stack([golden[f"z{i}"] for i in range(6)])).requires_grad_()
    terms = umurl_loss(z[:3], z[3:])
    terms["total"].backward()
    for term in ("intra", "inter", "total"):
        np.testing.assert_allclose(terms[term].item(), golden[term], rtol=1e-4)
    regulated = (terms["variance"] + terms["covariance"]).item()
    np.testing.assert_allclose(regulated, golden["vc"].sum(), rtol=1e-4)
    variance, covariance = variance_and_covariance(z.detach())
    np.testing.assert_allclose(5 * variance + covariance, golden["vc"], rtol=1e-4)
    for i in range(6):
        np.testing.assert_allclose(z.grad[i], golden[f"grad{i}"], rtol=1e-4, atol=1e-6)


@settings(deadline=None, max_examples=20)
@given(n=st.integers(2, 30), width=st.integers(2, 30), seed=st.integers(0, 2**16))
def test_loss_is_that_of_the_plain_reading(n, width, seed):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(6, n, width, generator=generator, dtype=torch.float64) * 0.7
    z.requires_grad_()
    terms = umurl_loss(z[:3], z[3:])
    intra, inter, reg, total = literal.umurl_loss(*z)
    found = terms["intra"], terms["inter"], terms["variance"] + terms["covariance"], terms["total"]
    torch.testing.assert_close(found, (intra, inter, reg, total))
    ours, theirs = (torch.autograd.grad(t, z)[0] for t in (terms["total"], total))
    torch.testing.assert_close(ours, theirs)


def test_the_baseline_and_the_pair_are_the_plain_formulas():
    figures = load("loss_small")
    z = [torch.from_numpy(figures[f"z{i}"]).double()[None] for i in (0, 3)]  # (1, n, D) each
    terms = baseline_loss(*z)
    invariance = (z[0] - z[1]).square().mean().item()
    assert terms["invariance"].item() == pytest.approx(invariance, rel=1e-9)
    expected = 5 * invariance + figures["vc"][0] + figures["vc"][3]
    assert terms["total"].item() == pytest.approx(expected, rel=1e-4)

    z = torch.randn(9, 8, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    total = pair_loss(*z.split(3), invariance_weight=2.0)["total"]
    distance = (z[3:6] - z[6:]).square().mean((1, 2)).sum()
    torch.testing.assert_close(total, umurl_loss(z[:3], z[3:6])["total"] + 2 * distance)


def test_loss_is_computed_in_single_precision_under_autocast_and_double_stays_double():
    z = torch.randn(6, 16, 64, generator=torch.Generator().manual_seed(0))
    expected = umurl_loss(z[:3], z[3:])
    with torch.autocast("cpu", torch.bfloat16):
        got = umurl_loss(z[:3], z[3:])
    assert all(torch.equal(got[term], expected[term]) for term in expected)
    half = z.bfloat16()
    assert umurl_loss(half[:3], half[3:])["total"].dtype == torch.float32
    double = z.double()
    for loss in (umurl_loss, baseline_loss):
        assert all(term.dtype == torch.float64 for term in loss(double[:3], double[3:]).values())
