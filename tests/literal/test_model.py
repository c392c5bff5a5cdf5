"""The literal network, loss and training step against the published figures."""

import numpy as np
import pytest
import torch

from tests.golden_files import CLOSE, MODEL_SIZES, load
from tests.literal import model

# Biases ahead of a batch norm have a gradient of zero, of which only rounding is left; Adam makes
# steps of the size of the learning rate of it, and running means see those biases.
TRAINED = {"rtol": 1e-3, "atol": 1e-3}


@pytest.fixture(params=MODEL_SIZES)
def golden_model(request):
    """The reference figures of one model, the model with its initial weights, its views."""
    golden, umurl = load(request.param), model.UmURL(*MODEL_SIZES[request.param].values())
    state = {k[6:]: torch.from_numpy(v) for k, v in golden.items() if k.startswith("state/")}
    encoding = umurl.backbone.ma_encoder.pe.pe
    torch.testing.assert_close(encoding, state["backbone.ma_encoder.pe.pe"], rtol=0, atol=1e-6)
    umurl.load_state_dict(state)
    batches = [torch.from_numpy(golden[f"view{i}"]).float() for i in (1, 2, 3, 4)]
    return golden, umurl, batches


@torch.no_grad()
def test_outputs_match_the_published_ones(golden_model):
    golden, umurl, batches = golden_model
    umurl.eval()
    v1, v2, v3, v4 = (batch[0] for batch in batches)
    encoder = umurl.backbone
    outputs = {
        "y_j": encoder.joint(v1),
        "y_b": encoder.bone(v2),
        "y_m": encoder.motion(v3),
        "y_u": encoder.fused(v4),
    }
    names = ("z_j", "z_b", "z_m", "z_uj", "z_ub", "z_um")
    outputs.update(zip(names, umurl(v1, v2, v3, v4), strict=True))
    assert {f"eval/{name}" for name in outputs} == {k for k in golden if k.startswith("eval/")}
    for name, output in outputs.items():
        np.testing.assert_allclose(output, golden[f"eval/{name}"], **CLOSE)


def test_training_matches_the_published_trajectory(golden_model):
    # In float64: of gradients that are zero, Adam would make steps out of float32's rounding.
    golden, umurl, batches = golden_model
    umurl.double()
    optimizer = model.adam(umurl)
    for step, expected in enumerate(golden["train/intra_inter_reg_total"]):
        terms = model.train_step(umurl, optimizer, [batch[step].double() for batch in batches])
        np.testing.assert_allclose(torch.stack(terms).detach(), expected, rtol=1e-4)
        if step == 0:
            norms = {name: p.grad.norm().item() for name, p in umurl.named_parameters()}
            assert {f"grad0_norm/{n}" for n in norms} == {k for k in golden if "grad0" in k}
            for name, norm in norms.items():
                assert norm == pytest.approx(golden[f"grad0_norm/{name}"], rel=1e-3, abs=1e-4)
    state = umurl.state_dict()
    after = [key for key in golden if key.startswith("after/")]
    assert after
    for key in after:
        np.testing.assert_allclose(state[key[6:]], golden[key], **TRAINED)
