"""The encoder: one pass for any set of views, the published position encoding."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from net.encoder import Encoder, LayerNorm, TransformerLayer, sinusoid
from net.modalities import MODALITIES, derive
from tests.golden_files import load


@pytest.fixture(scope="module")
def encoder():
    """In float64, in which passes that sum in another order agree strictly."""
    torch.manual_seed(0)
    return Encoder(hidden_size=16, num_head=2, num_layer=2).double().eval()


@pytest.fixture(scope="module")
def views():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(4, 3, 64, 2, 25, 3, generator=generator, dtype=torch.float64)


def test_position_encoding_is_the_published_one():
    for name, width in (("model_small", 16), ("model_deep", 12)):
        published = load(name)["state/backbone.ma_encoder.pe.pe"][0]
        rate = np.exp(np.arange(width) // 2 * 2 * (-np.log(10000) / width))
        # A rate may be rounded another way on another processor; its position multiplies that.
        rounding = np.arange(200)[:, None] * rate * 2**-23
        error = np.abs(sinusoid(200, width).numpy() - published)
        assert (error <= 1e-6 + rounding).all()
    assert sinusoid(10, 7).shape == (10, 7)  # an odd width has one sine more


@torch.no_grad()
def test_one_pass_over_views_equals_one_pass_each(encoder, views):
    inputs = [
        derive(views[0], ("joint",)),
        derive(views[1], ("bone",)),
        derive(views[2][:1], ("motion",)),  # views may differ in their number of clips
        derive(views[3]),
        derive(views[3], ("motion", "joint")),
    ]
    together = encoder(*inputs)
    assert together.shape == (3 + 3 + 1 + 3 + 3, encoder.feature_size)
    torch.testing.assert_close(together, torch.cat([encoder(view) for view in inputs]))
    # Clips do not see each other.
    torch.testing.assert_close(encoder(derive(views[3][1:2])), together[8:9])
    assert encoder(derive(views[3][:0])).shape == (0, encoder.feature_size)


@torch.no_grad()
def test_one_modality_skips_the_fusion_and_several_are_averaged(encoder, views):
    def encode(*modalities):
        return encoder(derive(views[0], modalities))

    fused = encode(*MODALITIES)
    torch.testing.assert_close(encode(*MODALITIES[::-1]), fused)
    assert not torch.allclose(encode(*MODALITIES[:2]), fused)
    alone = [encode(modality) for modality in MODALITIES]
    without = copy.deepcopy(encoder)
    without.temporal.fusion.weight.zero_()
    without.spatial.fusion.weight.zero_()
    for modality, feature in zip(MODALITIES, alone, strict=True):
        assert torch.equal(without(derive(views[0], (modality,))), feature)
    assert not torch.allclose(without(derive(views[0])), fused)


@torch.no_grad()
def test_time_has_an_order_and_space_has_none(encoder, views):
    half = encoder.feature_size // 2
    forward, backward = derive(views[0], ("joint",)), derive(views[0].flip(1), ("joint",))
    assert not torch.allclose(encoder(forward)[:, :half], encoder(backward)[:, :half], atol=1e-4)
    # Two bodies in another order are the same spatial tokens in another order.
    swapped = derive(views[0].flip(2), ("joint",))
    torch.testing.assert_close(encoder(forward)[:, half:], encoder(swapped)[:, half:])


def test_one_head_in_training_attends_as_the_plain_layer_does():
    torch.manual_seed(0)
    layer = TransformerLayer(hidden_size=12, num_head=1).double().train()
    for name in ("in_proj_bias", "out_proj.bias"):  # which are zero at first
        nn.init.normal_(layer.self_attn.get_parameter(name))
    x = torch.randn(3, 7, 12, dtype=torch.float64, requires_grad=True)
    gradient = torch.randn(3, 7, 12, dtype=torch.float64)
    inputs = [x, *layer.parameters()]
    torch_layer = nn.TransformerEncoderLayer.forward
    found = []
    for out in (layer(x), layer.eval()(x), torch_layer(layer.train(), x)):
        out.backward(gradient)
        found.append([out.detach(), *(tensor.grad for tensor in inputs)])
        for tensor in inputs:
            tensor.grad = None
    for theirs in found[1:]:
        torch.testing.assert_close(found[0], theirs)
    assert not found[0][3][12:24].any()  # the bias of the keys: no softmax sees it


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_layer_norm_keeps_the_precision_of_its_input_with_sums_in_float32(kind):
    torch.manual_seed(0)
    ours, theirs = LayerNorm(256), torch.nn.LayerNorm(256)
    for weight in (ours.weight, ours.bias):
        torch.nn.init.normal_(weight)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(32, 256) + 30  # a mean that would swallow the rest in half precision
    assert torch.equal(ours(x), theirs(x))
    half = x.to(kind)
    with torch.autocast("cpu", kind):
        found = ours(half)
    assert found.dtype == kind
    expected = theirs.double()(half.double())
    torch.testing.assert_close(found.double(), expected, rtol=2**-6, atol=2**-5)
