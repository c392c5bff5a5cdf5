"""Fine-tuning: what is trained, in which steps and modes."""

from dataclasses import replace

import pytest
import torch

from feeder.store import open_store
from tests.encoders import GraphEncoder
from tools.evaluation import encoders, finetuning
from tools.evaluation.features import open_split, split_for
from tools.evaluation.finetuning import FINETUNE, finetune


@pytest.mark.parametrize(("batch", "sizes"), [(64, [3] * 8), (2, [2] * 12)])
def test_few_clips_make_steps_enough(run, monkeypatch, batch, sizes):
    seen = []
    view = finetuning.view
    monkeypatch.setattr(finetuning, "view", lambda b, kind: seen.append(b.rows) or view(b, kind))
    loaded = encoders.load(run)
    data = split_for(loaded)
    settings = replace(FINETUNE, batch_size=batch, epochs=1)
    finetune(loaded.encoder, data, settings=settings)
    assert [len(rows) for rows in seen] == sizes
    assert sorted(row for rows in seen for row in rows) == sorted(data.train)


def test_batch_statistics_change_in_training_and_not_in_tests(data_root):
    torch.manual_seed(0)
    encoder = GraphEncoder(12).eval().requires_grad_(False)
    modes = []
    encoder.register_forward_hook(lambda module, *_: modes.append(module.training))
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    data = open_split(open_store(data_root, "ntu60"), "cross_subject")
    tuned = finetune(encoder, data, [("joint",)], replace(FINETUNE, epochs=5)).model.encoder
    assert modes == [*[True] * 8 * 5, False]  # 8 steps an epoch, one test
    assert not encoder.training
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, before[key]), key
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert not torch.equal(tuned.state_dict()[f"norm.{name}"], before[f"norm.{name}"])
    assert tuned.norm.num_batches_tracked == 8 * 5
    assert not torch.equal(tuned.norm.weight, before["norm.weight"])
