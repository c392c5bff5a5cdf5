"""Standardized features: against scikit-learn, from training clips alone."""

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler

from feeder.store import open_store
from tools.evaluation import standardize
from tools.evaluation.features import Features, open_split


def test_it_is_the_scaler_of_scikit_learn_fitted_on_training_clips(data_root):
    rng = np.random.default_rng(0)
    train, test = (rng.normal(5, 3, (2, n, 7)).astype(np.float32) for n in (24, 24))
    train[:, :, 3] = test[:, :, 3] = 2.5  # says nothing, and stays finite
    data = open_split(open_store(data_root, "ntu60"), "cross_subject")
    features = Features(data, torch.from_numpy(train), torch.from_numpy(test))
    found, scale = standardize.standardized(features)
    for stream in range(2):
        exact = StandardScaler().fit(train[stream])
        for ours, theirs in ((found.train, train), (found.test, test)):
            expected = exact.transform(theirs[stream])
            np.testing.assert_allclose(ours[stream], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scale.mean[:, 0], train.mean(1), rtol=1e-5)
    assert scale.deviation.shape == (2, 1, 7) and (scale.deviation[:, 0, 3] == 1).all()
