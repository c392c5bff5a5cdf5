"""UmURL against the published outputs, in eval mode and while it trains."""

import numpy as np
import pytest
import torch
from torch import nn

from net.losses import umurl_loss
from net.modalities import MODALITIES, derive
from net.umurl import UmURL
from tests.golden_files import MODEL_SIZES
from tests.net.golden_models import golden_model
from tests.published import our_name, zero_gradients

OUTPUT = {"rtol": 1e-4, "atol": 1e-6}
LETTERS = {"joint": "j", "bone": "b", "motion": "m"}


@torch.no_grad()
@pytest.mark.parametrize("name", MODEL_SIZES)
def test_outputs_match_the_published_ones(name):
    golden, model, views = golden_model(name)
    model.eval()
    unimodal, fused, feature = model(views[0])
    outputs = {"y_u": feature}
    for i, (modality, letter) in enumerate(LETTERS.items()):
        outputs |= {f"z_{letter}": unimodal[i], f"z_u{letter}": fused[i]}
        outputs[f"y_{letter}"] = model.encoder(derive(views[0, i], (modality,)))
    assert {f"eval/{key}" for key in outputs} == {k for k in golden if k.startswith("eval/")}
    for key, output in outputs.items():
        np.testing.assert_allclose(output, golden[f"eval/{key}"], err_msg=key, **OUTPUT)


@pytest.mark.parametrize(("dtype", "zero"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("name", MODEL_SIZES)
def test_gradient_norms_match_the_published_ones(name, dtype, zero):
    golden, model, views = golden_model(name)
    unimodal, fused, _ = model.to(dtype)(views[0].to(dtype))
    umurl_loss(unimodal, fused)["total"].backward()
    published = {
        our_name(key.removeprefix("grad0_norm/")): float(value)
        for key, value in golden.items()
        if key.startswith("grad0_norm/")
    }
    norms = {key: p.grad.norm().item() for key, p in model.named_parameters()}
    assert norms.keys() == published.keys()
    largest, zeros = max(published.values()), zero_gradients(norms)
    assert len(zeros) == 8
    for key, norm in norms.items():
        if key in zeros:
            assert norm < zero * largest and published[key] < 1e-5 * largest, key
        else:
            assert norm == pytest.approx(published[key], rel=1e-3), key


def test_a_step_encodes_its_four_views_in_one_pass():
    _, model, views = golden_model("model_small")
    calls = {"encoder": 0, "attention": 0, "projector": 0, "batch norm": 0}

    def count(what):
        def hook(*_):
            calls[what] += 1

        return hook

    model.encoder.register_forward_hook(count("encoder"))
    for stream in (model.encoder.temporal, model.encoder.spatial):
        stream.transformer.register_forward_hook(count("attention"))
    for projector in model.projectors.values():
        projector[0].register_forward_hook(count("projector"))
        for layer in projector:
            if isinstance(layer, nn.BatchNorm1d):
                layer.register_forward_hook(count("batch norm"))
    model(views[0])
    # Batch norm, two a projector, sees the fused and a modality's own features apart.
    assert calls == {"encoder": 1, "attention": 2, "projector": 3, "batch norm": 12}


def test_every_view_reaches_its_own_outputs_and_no_other():
    _, model, views = golden_model("model_small")
    model.eval()
    views = views[0].clone().requires_grad_()
    unimodal, fused, feature = model(views)
    for output, seen in [
        *((unimodal[i], {i}) for i in range(3)),
        *((fused[i], {3}) for i in range(3)),
        (feature, {3}),
    ]:
        (grad,) = torch.autograd.grad(output.sum(), views, retain_graph=True)
        assert {i for i in range(4) if grad[i].any()} == seen


def test_sizes_are_the_published_ones():
    with torch.device("meta"):
        model = UmURL()
    count = sum(p.numel() for p in model.projectors.parameters())
    assert tuple(model.projectors) == MODALITIES
    assert round(count / 1e6, 2) == 50.38
    assert not [key for key in model.state_dict() if "position" in key]
