"""A notebook pre-trains and evaluates by values: no flags, no files of results."""

from dataclasses import replace

from feeder.store import open_store
from tools.evaluation.encoders import load_encoder
from tools.evaluation.features import encode, open_halves
from tools.evaluation.recognition import finetune, linear_evaluation, summary
from tools.evaluation.retrieval import retrieve
from tools.evaluation.settings import FINETUNE
from tools.evaluation.standardize import standardized
from tools.training.run import pretrain
from tools.training.settings import Settings


def test_ten_lines_pretrain_a_tiny_model_and_evaluate_it(data_root, tmp_path):
    store = open_store(data_root, "ntu60")
    sizes = {"hidden_size": 16, "projector_width": 32, "batch_size": 12, "epochs": 2}
    pretrain(
        Settings(checkpoint_path=tmp_path, protocol="cross_subject", workers=0, **sizes), store
    )

    encoder = load_encoder(tmp_path)
    data = open_halves(store, "cross_subject")
    features = encode(encoder, data)  # each clip once
    linear = summary(linear_evaluation(features, seeds=range(2)))
    (found,) = retrieve(features, neighbors=(1, 5))
    (better,) = retrieve(standardized(features)[0])
    tuned = summary(finetune(encoder, data, settings=replace(FINETUNE, epochs=2)))

    for accuracy in (linear["top1"], found.accuracies[5], better.accuracies[1], tuned["top1"]):
        assert 0 <= accuracy <= 100
    assert linear["top1_std"] is not None and len(found.predicted) == len(data.test)
    assert [path.suffix for path in tmp_path.iterdir() if "checkpoint" in path.name] == [".pt"]
