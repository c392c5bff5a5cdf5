"""Nearest neighbors and average precision, in float64, against scikit-learn; ties; memory."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from torch.utils._python_dispatch import TorchDispatchMode

from tools.evaluation.neighbors import average_precision, nearest, vote


def rows(rng, n, width=16):
    return torch.from_numpy(rng.normal(size=(n, width)))


@pytest.mark.parametrize(("chunk", "k"), [(1, 5), (700, 1), (10**6, 200)])
def test_neighbors_are_those_of_brute_force(rng, chunk, k):
    database, queries = rows(rng, 200), rows(rng, 60)
    exact = NearestNeighbors(n_neighbors=k, algorithm="brute", metric="cosine").fit(database)
    distances, indices = exact.kneighbors(queries)
    similarities, found = nearest(queries, database, k, chunk)
    np.testing.assert_array_equal(found, indices)
    np.testing.assert_allclose(similarities, 1 - distances, atol=1e-12)


@pytest.mark.parametrize("k", [1, 3, 12, 32])
def test_of_equally_near_rows_the_first_comes_first(rng, k):
    # Of norm 4, so that every sum is exact, in whatever order it is taken.
    database = torch.from_numpy(rng.choice([-1.0, 1.0], (4, 16))).repeat(8, 1)
    order = (-(database[:4] @ database.T)).argsort(dim=1, stable=True)
    assert torch.equal(nearest(database[:4], database, k)[1], order[:, :k])


@pytest.mark.parametrize("k", [1, 4, 9])
def test_vote_is_that_of_a_knn_classifier(rng, k):
    """But for draws, where the nearest decides."""
    database, queries = rows(rng, 300), rows(rng, 100)
    classes = torch.from_numpy(rng.integers(3, size=300))
    found = classes[nearest(queries, database, k)[1]]
    counts = torch.nn.functional.one_hot(found, 3).sum(1)
    clear = (counts == counts.amax(1, keepdim=True)).sum(1) == 1
    knn = KNeighborsClassifier(k, algorithm="brute", metric="cosine").fit(database, classes)
    np.testing.assert_array_equal(vote(found)[clear], knn.predict(queries)[clear])
    draws = torch.tensor([[2, 1, 1, 2, 0], [0, 1, 2, 3, 3], [1, 0, 2, 4, 3]])
    assert vote(draws).tolist() == [2, 3, 1]


@pytest.mark.parametrize("chunk", [1, 700, 10**6])
def test_average_precision_is_that_of_scikit_learn(rng, chunk):
    database, queries = rows(rng, 150), rows(rng, 40)
    classes = torch.from_numpy(rng.integers(4, size=150))
    truth = torch.from_numpy(rng.integers(5, size=40))
    found = average_precision(queries, database, truth, classes, chunk)
    unit = torch.nn.functional.normalize
    for score, row, own in zip(found, unit(queries) @ unit(database).T, truth, strict=True):
        if own == 4:  # which no row of the database has
            assert score.isnan()
        else:
            exact = average_precision_score((classes == own).numpy(), row.numpy())
            assert score.item() == pytest.approx(exact, abs=1e-6)


class LargestTensor(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(value, torch.Tensor):
                self.elements = max(self.elements, value.numel())
        return result


def test_memory_is_bounded_by_the_chunk(rng):
    database, queries = rows(rng, 3000, 4), rows(rng, 4000, 4)
    classes, truth = torch.zeros(3000), torch.zeros(4000)
    for search in (
        lambda: nearest(queries, database, 5, chunk=30_000),
        lambda: average_precision(queries, database, truth, classes, chunk=30_000),
    ):
        with LargestTensor() as largest:
            search()
        assert largest.elements <= 30_000
