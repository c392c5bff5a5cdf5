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
    model = METHODS[name].load_model()(*SIZES)
    return model(torch.randn(4, 6, 64, 2, 25, 3))


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
    loss = method.load_loss()
    plain = loss(*outputs, settings=method.settings(**dict.fromkeys(weights(method), 1.0)))
    torch.testing.assert_close(plain["total"], sum(plain[term] for term in method.terms))
    for number, (weight, term) in enumerate(weights(method).items(), start=2):
        chosen = dict.fromkeys(weights(method), 1.0) | {weight: float(number)}
        terms = loss(*outputs, settings=method.settings(**chosen))
        expected = plain["total"] + (number - 1) * plain[term]
        torch.testing.assert_close(terms["total"], expected)


@pytest.mark.parametrize("name", METHODS)
def test_a_weight_of_zero_takes_its_term_out(name):
    method, outputs = METHODS[name], outputs_of(name)
    loss = method.load_loss()
    plain = loss(*outputs, settings=method.settings(**dict.fromkeys(weights(method), 1.0)))
    for weight, term in weights(method).items():
        chosen = dict.fromkeys(weights(method), 1.0) | {weight: 0.0}
        terms = loss(*outputs, settings=method.settings(**chosen))
        torch.testing.assert_close(terms["total"], plain["total"] - plain[term])
    nothing = loss(*outputs, settings=method.settings(**dict.fromkeys(weights(method), 0.0)))
    assert nothing["total"] == 0
    assert not nothing.keys() & {"variance", "covariance"}


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
