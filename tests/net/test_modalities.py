"""Modalities and tokens against the published ones and against the plain reading."""

import numpy as np
import pytest
import torch

from feeder.skeletons import BUILT_IN
from net.modalities import MODALITIES, bone, derive
from tests.golden_files import MODEL_SIZES, load, ours
from tests.literal import model as literal


@pytest.mark.parametrize("name", MODEL_SIZES)
def test_tokens_match_the_published_ones(name):
    golden = load(name)
    for modality, (temporal, spatial) in derive(ours(golden["view4"][0])).items():
        close = {"rtol": 1e-4, "atol": 1e-6}
        np.testing.assert_allclose(temporal, golden[f"tokens/{modality}_t"], **close)
        np.testing.assert_allclose(spatial, golden[f"tokens/{modality}_s"], **close)


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
    for name, tokens in derived.items():
        temporal, spatial = literal.tokens(plain[name])
        assert torch.equal(tokens.temporal, temporal)
        assert torch.equal(tokens.spatial, spatial)


@pytest.mark.parametrize("skeleton", BUILT_IN.values(), ids=BUILT_IN)
def test_bones_are_those_of_the_skeleton(skeleton):
    joints = torch.randn(2, 64, 1, skeleton.num_joints, 3)
    bones = joints - joints[..., list(skeleton.parents), :]
    assert torch.equal(bone(joints, skeleton), bones)
    view = derive(joints, ("bone",), skeleton)
    assert list(view) == ["bone"] and torch.equal(view["bone"].temporal, bones.flatten(2))
    assert view["bone"].spatial.shape == (2, skeleton.num_joints, 192)
    with pytest.raises(ValueError, match=skeleton.name):
        bone(joints[..., 1:, :], skeleton)
