"""Each method: its model, its loss and the weights of the loss fit together."""

import pytest
import torch

from net.methods import DEFAULT, METHODS, title


@pytest.mark.parametrize("name", METHODS)
def test_each_weight_weighs_its_term(name):
    method = METHODS[name]
    torch.manual_seed(0)
    model = method.model(hidden_size=8, projector_width=12)
    *projected, feature = model(torch.randn(method.views, 6, 64, 2, 25, 3))
    assert all(z.shape[-2] == 6 for z in projected) and feature.shape == (6, 16)
    ones = dict.fromkeys(method.weights, 1.0)
    plain = method.loss(*projected, **ones)
    assert {f"{term}_weight" for term in plain} - {"total_weight"} == method.weights.keys()
    torch.testing.assert_close(plain["total"], sum(v for k, v in plain.items() if k != "total"))
    for weight in method.weights:
        term = plain[weight.removesuffix("_weight")]
        weighted = method.loss(*projected, **ones | {weight: 3.0})["total"]
        torch.testing.assert_close(weighted, plain["total"] + 2 * term)


def test_published_weights_and_titles():
    weights = {"intra": 5.0, "inter": 5.0, "variance": 5.0, "covariance": 1.0}
    assert METHODS[DEFAULT].weights == {f"{name}_weight": w for name, w in weights.items()}
    assert title(None) == title(DEFAULT) == "UmURL"
    assert title("of another branch") == "of another branch"
