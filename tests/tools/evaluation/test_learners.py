"""What is trained in linear evaluation and in fine-tuning, and in which steps."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from feeder.store import open_store
from tests.encoders import GraphEncoder
from tools.evaluation import encoders, recognition
from tools.evaluation.features import encode, halves_for, open_halves
from tools.evaluation.learners import finetuning_learner
from tools.evaluation.settings import FINETUNE, LINEAR


def test_finetuning_moves_a_copy_of_the_encoder(run):
    loaded = encoders.load(run)
    before = {key: value.clone() for key, value in loaded.encoder.state_dict().items()}
    settings = replace(FINETUNE, epochs=2)
    runs = recognition.finetune(
        loaded.encoder, halves_for(loaded), [("joint",)], settings, seeds=(0, 1)
    )
    assert len(runs) == 2
    for key, weight in loaded.encoder.state_dict().items():
        assert torch.equal(weight, before[key])  # so both runs begin from what was pre-trained
        used = not ("bone" in key or "motion" in key or "fusion" in key)
        for tuned in (one.model.encoder.state_dict() for one in runs):
            assert torch.equal(weight, tuned[key]) != used


@pytest.mark.parametrize(("batch", "sizes"), [(64, [3] * 8), (2, [2] * 12)])
def test_finetuning_takes_steps_enough_of_few_clips(run, batch, sizes):
    loaded = encoders.load(run)
    data, settings = halves_for(loaded), replace(FINETUNE, batch_size=batch)
    learner = finetuning_learner(
        loaded.encoder, data, [("joint", "bone", "motion")], settings, np.arange(24), 0
    )
    batches = list(learner.train(0))
    assert [len(classes) for _, classes in batches] == sizes
    classes = torch.cat([classes for _, classes in batches])
    assert classes.sort().values.tolist() == sorted(data.store.label[data.train])


def test_an_encoder_with_batch_statistics_trains_in_train_mode_and_tests_in_eval_mode(data_root):
    """Training batches change the running statistics; tests do not."""
    torch.manual_seed(0)
    encoder = GraphEncoder(12).eval().requires_grad_(False)
    modes = []
    encoder.register_forward_hook(lambda module, *_: modes.append(module.training))
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    data = open_halves(open_store(data_root, "ntu60"), "cross_subject")

    features = encode(encoder, data, [("joint",)])
    runs = recognition.linear_evaluation(features, replace(LINEAR, lr=1.0))
    assert features.train.shape == (1, 24, 12) and not any(modes)
    assert runs[0].tests[-1]["top1"] > 30  # of four classes
    modes.clear()

    (tuned,) = recognition.finetune(encoder, data, [("joint",)], replace(FINETUNE, epochs=5))
    assert modes == [*[True] * 8 * 5, False]  # 8 steps an epoch, one test
    assert not encoder.training
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, before[key]), key
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        key = f"norm.{name}"
        assert not torch.equal(tuned.model.encoder.state_dict()[key], before[key])
    assert tuned.model.encoder.norm.num_batches_tracked == 8 * 5
