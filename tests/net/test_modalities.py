"""Modalities and tokens against the published ones and against the plain reading."""

import numpy as np
import pytest
import torch

from net.modalities import BONES, MODALITIES, derive, spatial_tokens, temporal_tokens
from tests.golden_files import MODEL_SIZES, load, ours
from tests.literal import model as literal


@pytest.mark.parametrize("name", MODEL_SIZES)
def test_tokens_match_the_published_ones(name):
    golden = load(name)
    for modality, x in derive(ours(golden["view4"][0])).items():
        np.testing.assert_allclose(
            temporal_tokens(x), golden[f"tokens/{modality}_t"], rtol=1e-4, atol=1e-6
        )
        np.testing.assert_allclose(
            spatial_tokens(x), golden[f"tokens/{modality}_s"], rtol=1e-4, atol=1e-6
        )


def test_modalities_and_tokens_are_those_of_the_plain_reading():
    views = torch.randn(5, 64, 2, 25, 3, generator=torch.Generator().manual_seed(0))
    published = views.permute(0, 4, 1, 3, 2)  # (B, C, T, V, M)
    plain = {
        "joint": published,
        "bone": literal.bone(published),
        "motion": literal.motion(published),
    }
    derived = derive(views)
    assert tuple(derived) == MODALITIES
    for name, x in derived.items():
        temporal, spatial = literal.tokens(plain[name])
        assert torch.equal(temporal_tokens(x), temporal)
        assert torch.equal(spatial_tokens(x), spatial)


def test_bones_are_a_tree_that_hangs_on_the_centre():
    assert sorted(BONES) == list(range(1, 26))
    for joint in BONES:
        for _ in range(25):
            joint = BONES[joint]
        assert joint == 21


def test_modalities_end_where_the_body_does_not_move_or_has_no_size():
    still = torch.randn(1, 1, 2, 25, 3).expand(2, 64, 2, 25, 3)
    assert not derive(still)["motion"].any()
    assert not derive(torch.ones(2, 64, 2, 25, 3))["bone"].any()
    moving = torch.randn(2, 64, 2, 25, 3)
    assert not derive(moving)["motion"][:, -1].any()
    assert not derive(moving)["bone"][..., 20, :].any()
    assert list(derive(moving, ("bone",))) == ["bone"]
