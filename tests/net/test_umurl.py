"""UmURL against the published outputs, in eval mode and while it trains."""

import numpy as np
import pytest
import torch

from net.losses import baseline_loss, umurl_loss
from net.methods import METHODS
from net.modalities import MODALITIES, derive
from net.umurl import UmURL
from tests.golden_files import CLOSE, MODEL_SIZES, golden_model, of, zero_gradients
from tests.literal import model as literal
from tools.formats.published_checkpoint import our_name


@torch.no_grad()
@pytest.mark.parametrize("name", MODEL_SIZES)
def test_outputs_match_the_published_ones(name):
    golden, model, views = golden_model(name)
    model.eval()
    unimodal, fused, feature = model(views[0])
    outputs = {"y_u": feature}
    for i, (modality, letter) in enumerate(zip(MODALITIES, "jbm", strict=True)):
        outputs |= {f"z_{letter}": unimodal[i], f"z_u{letter}": fused[i]}
        outputs[f"y_{letter}"] = model.encoder(derive(views[0, i], (modality,)))
    assert {f"eval/{key}" for key in outputs} == {k for k in golden if k.startswith("eval/")}
    for key, output in outputs.items():
        np.testing.assert_allclose(output, golden[f"eval/{key}"], err_msg=key, **CLOSE)


@pytest.mark.parametrize(("dtype", "zero"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("name", MODEL_SIZES)
def test_gradient_norms_match_the_published_ones(name, dtype, zero):
    golden, model, views = golden_model(name)
    unimodal, fused, _ = model.to(dtype)(views[0].to(dtype))
    umurl_loss(unimodal, fused)["total"].backward()
    published = of(golden, "grad0_norm/")
    norms = {key: p.grad.norm().item() for key, p in model.named_parameters()}
    assert norms.keys() == published.keys()
    largest, zeros = max(published.values()), zero_gradients(norms)
    assert len(zeros) == 8
    for key, norm in norms.items():
        if key in zeros:
            assert norm < zero * largest and published[key] < 1e-5 * largest, key
        else:
            assert norm == pytest.approx(published[key], rel=1e-3), key


def test_sizes_are_the_published_ones():
    with torch.device("meta"):
        model, plain = UmURL(), literal.UmURL()
    for part, millions in ((model.encoder, 22.07), (model.projectors, 50.38)):
        assert round(sum(p.numel() for p in part.parameters()) / 1e6, 2) == millions
    assert model.encoder.feature_size == 2048
    shapes = {our_name(key): weight.shape for key, weight in plain.named_parameters()}
    assert shapes == {key: weight.shape for key, weight in model.named_parameters()}


SIZES = {"hidden_size": 12, "num_head": 2, "num_layer": 1, "projector_width": 20}


def test_a_second_fused_view_changes_nothing_else():
    torch.manual_seed(0)
    views = torch.randn(5, 6, 64, 2, 25, 3, dtype=torch.float64)
    model = UmURL(**SIZES).double()
    unimodal, fused, second, feature = model(views)
    for found, expected in zip((unimodal, fused, feature), model(views[:4]), strict=True):
        torch.testing.assert_close(found, expected)
    torch.testing.assert_close(second, model(views[[0, 1, 2, 4]])[1])


@pytest.mark.parametrize("modality", MODALITIES)
def test_weights_of_other_modalities_get_no_gradient(modality):
    torch.manual_seed(0)
    model = METHODS[modality].model(**SIZES).double().train()
    views = torch.randn(2, 6, 64, 2, 25, 3, dtype=torch.float64)
    *projected, _ = model(views)
    for view, z in zip(views, projected, strict=True):  # each has its own batch statistics
        torch.testing.assert_close(z, model.projector(model.encoder(derive(view, (modality,)))))
    baseline_loss(*projected)["total"].backward()
    unused = {name for name, weight in model.named_parameters() if weight.grad is None}
    others = set(MODALITIES) - {modality} | {"fusion"}
    assert unused == {name for name, _ in model.named_parameters() if others & {*name.split(".")}}
    assert METHODS[modality].modalities == (modality,)
