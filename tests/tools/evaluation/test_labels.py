"""Few labels of each class."""

import numpy as np

from tools.evaluation.labels import few_labels


def test_few_labels_are_balanced_nested_and_drawn_by_seed():
    classes = np.random.default_rng(0).permutation(np.repeat([0, 3, 7, 9], [100, 40, 7, 1]))
    tenth = few_labels(classes, 0, fraction=0.1)
    assert np.bincount(classes[tenth], minlength=10).tolist() == [10, 0, 0, 4, 0, 0, 0, 1, 0, 1]
    assert set(few_labels(classes, 0, fraction=0.01)) <= set(tenth)
    assert set(tenth) <= set(few_labels(classes, 0, fraction=0.5))
    assert not np.array_equal(tenth, few_labels(classes, 1, fraction=0.1))
    np.testing.assert_array_equal(tenth, few_labels(classes, 0, fraction=0.1))
    five = few_labels(classes, 0, count=5)
    assert np.bincount(classes[five])[[0, 3, 7, 9]].tolist() == [5, 5, 5, 1]
    np.testing.assert_array_equal(few_labels(classes, 0), np.arange(148))
    np.testing.assert_array_equal(few_labels(classes, 0, fraction=1.0), np.arange(148))
