"""A method is one declaration: its model, its loss, its settings and what is told of it."""

import inspect
import subprocess
import sys
from dataclasses import fields

import pytest
import torch

from net.methods import DEFAULT, METHODS, curve_titles, title
from tests.runs import ROOT

SIZES = (8, 1, 1, 12)  # hidden size, heads, layers, projectors' width


def outputs_of(name: str) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    method = METHODS[name]
    return method.load_model()(*SIZES)(torch.randn(method.views, 6, 64, 2, 25, 3))


@pytest.mark.parametrize("name", METHODS)
def test_what_is_declared_is_there(name):
    method, outputs = METHODS[name], outputs_of(name)
    assert all(output.shape[-2] == 6 for output in outputs)  # the axis that ranks gather along
    assert outputs[-1].shape == (6, 16)
    terms = method.load_loss()(*outputs, settings=method.settings())
    assert terms.keys() == {"total", *method.terms}
    defaults = inspect.signature(method.load_loss()).parameters["settings"].default
    assert defaults == method.settings()
    assert all(field.metadata["help"] for field in fields(method.settings))


@pytest.mark.parametrize("name", METHODS)
def test_each_weight_weighs_its_term(name):
    method, outputs = METHODS[name], outputs_of(name)
    loss, plain = method.load_loss(), dict.fromkeys(weights(method), 1.0)
    for number, weight in enumerate(weights(method), start=2):
        chosen = plain | {weight: float(number)}
        terms = loss(*outputs, settings=method.settings(**chosen))
        torch.testing.assert_close(terms["total"], summed(terms, chosen))
        for other in ("variance", "covariance"):  # which are told as they are weighted
            if weight == f"{other}_weight":
                one = loss(*outputs, settings=method.settings(**plain))[other]
                torch.testing.assert_close(terms[other], number * one)


@pytest.mark.parametrize("name", METHODS)
def test_a_weight_of_zero_takes_its_term_out(name):
    method, outputs = METHODS[name], outputs_of(name)
    loss = method.load_loss()
    for weight in weights(method):
        chosen = dict.fromkeys(weights(method), 1.0) | {weight: 0.0}
        terms = loss(*outputs, settings=method.settings(**chosen))
        torch.testing.assert_close(terms["total"], summed(terms, chosen))
    nothing = loss(*outputs, settings=method.settings(**dict.fromkeys(weights(method), 0.0)))
    assert nothing["total"] == 0
    assert not nothing.keys() & {"variance", "covariance"}


def summed(terms: dict[str, torch.Tensor], weights: dict[str, float]) -> torch.Tensor:
    """The total that terms make, of which two are told as they are weighted."""
    weighted = {"total", "variance", "covariance"}
    parts = [weights[f"{term}_weight"] * terms[term] for term in terms.keys() - weighted]
    return sum(parts) + sum(terms[term] for term in terms.keys() & (weighted - {"total"}))


def test_halves_are_trained_by_projectors_of_their_own():
    method, outputs = METHODS["umurl_halves"], outputs_of("umurl_halves")
    unimodal, fused, temporal, spatial, _ = outputs
    assert temporal.shape == spatial.shape == (2, *unimodal.shape)
    terms, loss = method.load_loss()(*outputs), METHODS["umurl"].load_loss()
    for name, (half_fused, half_unimodal) in {"temporal": temporal, "spatial": spatial}.items():
        torch.testing.assert_close(terms[name], loss(half_unimodal, half_fused)["total"])
    whole = loss(unimodal, fused)["total"]
    torch.testing.assert_close(terms["total"], whole + (terms["temporal"] + terms["spatial"]) / 2)


def test_a_second_fused_view_is_compared_with_the_first_and_changes_nothing_else():
    views = torch.randn(5, 6, 64, 2, 25, 3, dtype=torch.float64)
    pair, plain = (METHODS[name].load_model()(*SIZES).double() for name in ("umurl_pair", "umurl"))
    plain.load_state_dict(pair.state_dict())  # the same tensors by the same names
    unimodal, fused, second, feature = pair(views)
    close = {"rtol": 1e-9, "atol": 1e-9}
    for found, wanted in zip((unimodal, fused, feature), plain(views[:4]), strict=True):
        torch.testing.assert_close(found, wanted, **close)
    torch.testing.assert_close(second, plain(views[[0, 1, 2, 4]])[1], **close)
    terms = METHODS["umurl_pair"].load_loss()(unimodal, fused, second)
    distance = (fused - second).square().mean((1, 2)).sum()
    torch.testing.assert_close(terms["invariance"], distance, **close)
    whole = METHODS["umurl"].load_loss()(unimodal, fused)["total"]
    torch.testing.assert_close(terms["total"], whole + 5 * distance, **close)


def weights(method) -> dict[str, str]:
    """The weight of each of a method's terms."""
    return {f"{term}_weight": term for term in method.terms}


def test_titles_are_those_of_the_declarations():
    assert title(None) == title(DEFAULT) == "UmURL"
    assert title("baseline") == "simple baseline"
    assert title("of another branch") == "of another branch"
    terms = {term for method in METHODS.values() for term in method.terms}
    assert curve_titles().keys() == {"loss/total"} | {f"loss/{term}" for term in terms}


def test_the_declarations_need_no_torch():
    code = "import sys, net.methods; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
