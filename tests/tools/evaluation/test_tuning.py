"""The learning rate is chosen on training subjects that are held out, never on test clips."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from feeder.store import open_store
from tests.tiny_store import write_store
from tools.cli import UserError
from tools.evaluation import tuning
from tools.evaluation.features import Features, open_halves
from tools.evaluation.labels import Labels
from tools.evaluation.settings import LINEAR

SHORT = replace(LINEAR, epochs=8, schedule=())


@pytest.fixture
def features(data_root):
    """Features that show the class, far too small for a small learning rate."""
    data = open_halves(open_store(data_root, "ntu60"), "cross_subject")
    rng = np.random.default_rng(0)

    def of(rows):
        shown = 0.02 * np.eye(8)[data.store.label[rows]] + rng.normal(0, 0.01, (len(rows), 8))
        return torch.from_numpy(shown.astype(np.float32))[None]

    return Features(data, of(data.train), of(data.test))


def test_the_best_rate_on_held_out_subjects_is_taken(features, monkeypatch):
    seen = []
    linear = tuning.linear_evaluation
    monkeypatch.setattr(
        tuning, "linear_evaluation", lambda *a, **k: seen.append(a[0]) or linear(*a, **k)
    )
    found = tuning.tune(features, SHORT)
    best = max(one["top1"] for one in found.tried)
    assert [one["lr"] for one in found.tried] == list(tuning.RATES)
    assert next(one["top1"] for one in found.tried if one["lr"] == found.lr) == best
    store = features.data.store
    for one in seen:
        assert set(one.data.train) | set(one.data.test) == set(features.data.train)
        assert not set(store.subject[one.data.train]) & set(store.subject[one.data.test])
    # The test clips' features take no part.
    spoiled = features._replace(test=features.test * torch.nan)
    assert tuning.tune(spoiled, SHORT) == found


def test_only_clips_with_a_label_take_part(features, monkeypatch):
    seen = []
    linear = tuning.linear_evaluation
    monkeypatch.setattr(
        tuning, "linear_evaluation", lambda *a, **k: seen.append(a[0]) or linear(*a, **k)
    )
    tuning.tune(features, SHORT, Labels(per_class=3), rates=(0.1,))
    (one,) = seen
    assert len(one.data.train) + len(one.data.test) == 12


def test_one_person_alone_cannot_be_held_out(tmp_path):
    write_store(tmp_path)
    samples = tmp_path / "ntu60" / "samples.csv"
    lines = [line.split(",") for line in samples.read_text().splitlines()]
    for line in lines[1:]:
        line[3] = "1"
    samples.write_text("\n".join(map(",".join, lines)) + "\n")
    data = open_halves(open_store(tmp_path, "ntu60"), "cross_view")
    sizes = (len(rows) for rows in (data.train, data.test))
    features = Features(data, *(torch.zeros(1, size, 4) for size in sizes))
    with pytest.raises(UserError, match="--tune"):
        tuning.tune(features, SHORT)
