"""Tokens against the published ones, and bones of any skeleton."""

import numpy as np
import pytest
import torch

from feeder.skeletons import BUILT_IN
from net.modalities import bone, derive
from tests.golden_files import CLOSE, MODEL_SIZES, load, ours


@pytest.mark.parametrize("name", MODEL_SIZES)
def test_tokens_match_the_published_ones(name):
    golden = load(name)
    for modality, (temporal, spatial) in derive(ours(golden["view4"][0])).items():
        np.testing.assert_allclose(temporal, golden[f"tokens/{modality}_t"], **CLOSE)
        np.testing.assert_allclose(spatial, golden[f"tokens/{modality}_s"], **CLOSE)


@pytest.mark.parametrize("skeleton", BUILT_IN.values(), ids=BUILT_IN)
def test_bones_are_those_of_the_skeleton(skeleton):
    joints = torch.randn(2, 64, 1, skeleton.num_joints, 3)
    bones = joints - joints[..., list(skeleton.parents), :]
    assert torch.equal(bone(joints, skeleton), bones)
    view = derive(joints, ("bone",), skeleton)
    assert list(view) == ["bone"] and torch.equal(view["bone"].temporal, bones.flatten(2))
    assert view["bone"].spatial.shape == (2, skeleton.num_joints, 192)
