"""Encoders from checkpoints, the data they are evaluated on, and features of clips."""

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from common import UserError
from net.modalities import MODALITIES
from tests.golden_files import GOLDEN
from tests.literal import input as literal_views
from tests.literal.model import Encoder as LiteralEncoder
from tests.tiny_run import write_run
from tools.evaluation import encoders, features
from tools.evaluation.features import encode, encode_clip, extract_features, split_for
from tools.formats.published_checkpoint import to_published
from tools.training import checkpoint


def test_six_lines_encode_a_recording(run):
    file = GOLDEN / "skeletons" / "S001C001P001R001A001.skeleton"
    feature = encode_clip(encoders.load_encoder(run), features.read_recording(file))
    assert feature.shape == (32,) and feature.dtype == torch.float32


@pytest.mark.parametrize("names", [("joint",), ("bone",), ("motion",), MODALITIES])
def test_features_are_those_of_the_literal_version(run, store, names):
    """Batched, from the store, against one clip at a time in the published layout."""
    rows = np.array([40, 3, 7])
    (found,) = extract_features(encoders.load_encoder(run), store, rows, [names])
    path = checkpoint.newest(run)
    state = to_published(checkpoint.load(path), path)["state_dict"].items()
    literal = LiteralEncoder(16, 2, 1).eval()
    literal.load_state_dict(
        {k.removeprefix("module.backbone."): v for k, v in state if "backbone" in k}
    )
    encode = literal.fused if names == MODALITIES else getattr(literal, names[0])
    for row, feature in zip(rows, found, strict=True):
        clip = store.clip(row).transpose(3, 0, 2, 1)
        view = literal_views.evaluation_view(np.ascontiguousarray(clip))
        with torch.no_grad():
            expected = encode(torch.from_numpy(view)[None])[0]
        torch.testing.assert_close(feature, expected, rtol=1e-4, atol=1e-5)


def test_features_do_not_depend_on_the_batch(run, data_root, monkeypatch):
    loaded = encoders.load(run)
    whole = encode(loaded.encoder, split_for(loaded))
    monkeypatch.setattr(features, "ENCODING_BATCH", 5)
    batched = encode(loaded.encoder, split_for(loaded))
    torch.testing.assert_close((batched.train, batched.test), (whole.train, whole.test))


def test_the_random_encoder_has_the_shape_but_not_the_weights(tmp_path, data_root):
    run = write_run(tmp_path, data_root, seed=9)
    pretrained, random, again, other = (
        encoders.load(run, which, seed=seed).encoder.state_dict()
        for which, seed in (("final", 0), ("random", 0), ("random", 0), ("random", 1))
    )
    key = "temporal.fusion.weight"
    assert random.keys() == pretrained.keys()
    assert torch.equal(random[key], again[key])
    assert not torch.equal(random[key], pretrained[key])
    assert not torch.equal(random[key], other[key])


def test_a_checkpoint_may_be_named_in_three_ways(run, data_root, tmp_path):
    other = write_run(tmp_path / "other", data_root, seed=7)
    file = next(other.glob("*.pt"))
    by_folder, by_file, beside = encoders.load(other), encoders.load(file), encoders.load(run, file)
    weights = [one.encoder.temporal.fusion.weight for one in (by_folder, by_file, beside)]
    assert torch.equal(weights[0], weights[1]) and torch.equal(weights[0], weights[2])
    assert (by_folder.folder, by_file.folder, beside.folder) == (other, other, run)
    assert beside.source == file
    assert [one.is_final for one in (by_folder, by_file, beside)] == [True, True, False]


def test_a_feature_that_is_not_finite_is_named_by_its_clip(run, store):
    encoder = encoders.load_encoder(run)
    (layer,) = encoder.temporal.transformer.layers
    with torch.no_grad():
        layer.norm2.weight.fill_(torch.inf)
    with pytest.raises(UserError, match=store.names[5]):
        extract_features(encoder, store, np.array([5, 6]))


def test_standardizing_is_the_scaler_of_scikit_learn_fitted_on_training_clips(rng):
    train, test = (rng.normal(5, 3, (2, n, 7)).astype(np.float32) for n in (24, 20))
    train[:, :, 3] = test[:, :, 3] = 2.5  # says nothing, and stays finite
    both = features.Features(None, torch.from_numpy(train), torch.from_numpy(test))
    found, scale = features.standardized(both)
    for stream in range(2):
        exact = StandardScaler().fit(train[stream])
        for ours, theirs in ((found.train, train), (found.test, test)):
            expected = exact.transform(theirs[stream])
            np.testing.assert_allclose(ours[stream], expected, rtol=1e-4, atol=1e-5)
    assert scale.deviation.shape == (2, 1, 7) and (scale.deviation[:, 0, 3] == 1).all()
