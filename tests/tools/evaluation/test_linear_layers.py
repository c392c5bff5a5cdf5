"""Saved linear layers: they score as those that were trained, or are refused in one line."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import action_classification
from common import UserError
from feeder.batches import whole_clips
from tests.runs import succeed
from tests.tiny_run import write_run
from tests.tools.formats.foreign import Opens
from tools.evaluation import encoders, features, linear_layers
from tools.evaluation.probe import FINETUNE, LINEAR, finetune, linear_evaluation
from tools.evaluation.results import Evaluation, defaults

FUSED = ("joint", "bone", "motion")


@pytest.fixture
def file(run) -> Path:
    succeed(action_classification.main, "--checkpoint-path", run, "--epochs", 2)
    (path,) = run.glob("recognition*.pt")
    return path.rename(run / "recognition.pt")


@pytest.mark.parametrize("streams", [[FUSED], [("joint",), ("motion",)]])
@pytest.mark.parametrize("way", ["plain", "standardized", "finetuned"])
def test_they_take_test_clips_for_what_the_run_did(run, streams, way):
    loaded, scale = encoders.load(run), None
    data = features.split_for(loaded)
    if way == "finetuned":
        settings = replace(FINETUNE, epochs=2, encoder_lr=0.01)
        trained = finetune(loaded.encoder, data, streams, settings)
    else:
        found = features.encode(loaded.encoder, data, streams)
        if way == "standardized":
            found, scale = features.standardized(found)
        trained = linear_evaluation(found, replace(LINEAR, epochs=20, lr=0.3))
    late = len(streams) > 1
    modalities = ("joint", "motion") if late else FUSED
    settings = defaults("recognition") | {"late_fusion": late}
    evaluation = Evaluation("recognition", loaded, data, modalities, settings, scale=scale)
    linear_layers.write(evaluation, trained)

    back = linear_layers.load(run)
    assert back.streams == streams and back.classes == data.store.class_names
    with torch.inference_mode():
        views = whole_clips(data.store, data.test, torch.device("cpu"))
        found = back.probabilities(
            back.scaled(features.encode_views(back.loaded.encoder, views, streams))
        )
    assert torch.allclose(found.sum(1), torch.ones(len(found)))
    first, second = found.topk(2).values.T
    sure = first - second > 1e-4  # the same clips in other batches are the same but for rounding
    assert sure.sum() > 20
    assert torch.equal(found.argmax(1)[sure], trained.predicted[sure])


def test_the_file_tells_where_it_belongs_and_needs_no_pickle(file, data_root):
    saved = torch.load(file, weights_only=True)
    assert saved["facts"]["checkpoint"] == "checkpoint_0003.pt"
    assert saved["facts"]["data_root"] == str(data_root.resolve())
    assert len(saved["facts"]["classes"]) == 60 and not saved["encoder"]
    moved = file.parent.rename(file.parent.with_name("elsewhere"))  # a run may be moved
    assert linear_layers.load(moved).facts["dataset"] == "ntu60"


def test_a_checkpoint_from_elsewhere_is_found_again(run, data_root, tmp_path):
    other = write_run(tmp_path / "other", data_root, seed=7)
    flags = ("--checkpoint-path", run, "--pretrained", other / "checkpoint_0003.pt")
    succeed(action_classification.main, *flags, "--epochs", 2)
    loaded = linear_layers.load(run).loaded
    assert loaded.source == other / "checkpoint_0003.pt" and loaded.folder == run


def refused(run: Path) -> str:
    with pytest.raises(UserError) as error:
        linear_layers.load(run)
    assert "\n" not in str(error.value) and str(run) in str(error.value)
    return str(error.value)


def test_of_several_results_one_must_be_named(file, tmp_path):
    two = file.rename(file.with_name("recognition_a.pt"))
    assert linear_layers.load(file.parent).path == two  # the only one
    (file.parent / "recognition_b.pt").write_bytes(two.read_bytes())
    assert "recognition_a.pt" in refused(file.parent) and "recognition_b.pt" in refused(file.parent)
    assert linear_layers.load(two).path == two
    two.rename(file)
    assert linear_layers.load(file.parent).path == file  # the usual one
    (tmp_path / "none").mkdir()
    assert "action_classification.py" in refused(tmp_path / "none")


def test_layers_of_another_encoder_are_refused(file, data_root):
    write_run(file.parent, data_root, seed=5)  # the same name, other weights
    assert "checkpoint_0003.pt" in refused(file)
    (file.parent / "checkpoint_0003.pt").unlink()
    with pytest.raises(UserError, match=r"checkpoint_0003\.pt"):
        linear_layers.load(file)


def test_other_and_damaged_files_are_refused_and_a_pickle_runs_nothing(file, tmp_path):
    refused(file.parent / "checkpoint_0003.pt")
    content = file.read_bytes()
    for cut in (0, 100, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:cut])
        refused(file)
    torch.save({"facts": Opens(str(tmp_path / "ran"))}, file)
    refused(file)
    assert not (tmp_path / "ran").exists()
