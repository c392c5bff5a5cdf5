"""Saved linear layers: they score as those that were trained, or are refused in one line."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

import action_classification
from tests.runs import call
from tests.tiny_run import write_run
from tools.cli import UserError
from tools.evaluation import encoders, features, recognition, saved_layers, standardize
from tools.evaluation.results import Evaluation
from tools.evaluation.settings import FINETUNE, LINEAR, defaults

STREAMS = [("joint", "bone", "motion")]


def evaluate(run: Path, *, kind: str = "final") -> Evaluation:
    """What an evaluation of a run knows, with the usual settings."""
    loaded = encoders.load(run, kind)
    data = features.halves_for(loaded)
    return Evaluation("recognition", loaded, data, STREAMS[0], defaults("recognition"))


@pytest.fixture
def file(run) -> Path:
    """The file that `recognition.pt` of a run is, after a short training."""
    assert call(action_classification.main, "--checkpoint-path", run, "--epochs", 2).code == 0
    (path,) = run.glob("recognition*.pt")
    return path.rename(run / "recognition.pt")


def change(path: Path, **parts) -> None:
    """Write a file of layers anew with some parts, or facts, changed; None takes one away."""
    saved = torch.load(path, weights_only=True)
    for name, value in parts.items():
        where = saved if name in (*saved_layers.PARTS, "format") else saved["facts"]
        where[name] = value
        if value is None:
            del where[name]
    torch.save(saved, path)


@pytest.mark.parametrize("streams", [STREAMS, [("joint",), ("motion",)]])
@pytest.mark.parametrize("way", ["plain", "standardized", "finetuned"])
def test_they_take_test_clips_for_what_the_run_did(run, tmp_path, streams, way):
    evaluation = evaluate(run)
    loaded, data = evaluation.loaded, evaluation.data
    scale = None
    if way == "finetuned":
        settings = LINEAR.__class__(**{**vars(FINETUNE), "epochs": 2, "encoder_lr": 0.01})
        (trained,) = recognition.finetune(loaded.encoder, data, streams, settings)
    else:
        found = features.encode(loaded.encoder, data, streams)
        if way == "standardized":
            found, scale = standardize.standardized(found)
        settings = LINEAR.__class__(**{**vars(LINEAR), "epochs": 20, "lr": 0.3})
        (trained,) = recognition.linear_evaluation(found, settings)
    saved_layers.write(run / "recognition.pt", evaluation, trained, streams, scale)

    back = saved_layers.load(run)
    assert back.streams == streams and back.classes == data.store.class_names
    views = [
        features.resize(
            torch.from_numpy(np.array(data.store.clip(row))),
            torch.tensor([0]),
            torch.tensor([data.store.length[row]]),
        )
        for row in data.test
    ]
    with torch.inference_mode():
        found = back.probabilities(back.features(torch.cat(views)))
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
    assert saved_layers.load(moved).facts["dataset"] == "ntu60"


def test_a_random_encoder_leaves_none(run):
    flags = ("--checkpoint-path", run, "--epochs", 2, "--pretrained", "random")
    assert call(action_classification.main, *flags).code == 0
    assert list(run.glob("recognition*.json")) and not list(run.glob("recognition*.pt"))


def test_a_checkpoint_from_elsewhere_is_found_again(run, data_root, tmp_path):
    other = write_run(tmp_path / "other", data_root, seed=7)
    flags = ("--checkpoint-path", run, "--pretrained", other / "checkpoint_0003.pt")
    assert call(action_classification.main, *flags, "--epochs", 2).code == 0
    loaded = saved_layers.load(run).loaded
    assert loaded.source == other / "checkpoint_0003.pt" and loaded.folder == run


# ---- refused


def refused(run: Path) -> str:
    with pytest.raises(UserError) as error:
        saved_layers.load(run)
    assert "\n" not in str(error.value) and str(run) in str(error.value)
    return str(error.value)


def test_a_run_without_layers_says_which_command_makes_them(run, tmp_path):
    assert f"action_classification.py --checkpoint-path {run}" in refused(run)
    refused(tmp_path / "nothing")


def test_of_several_results_one_must_be_named(file):
    two = file.rename(file.with_name("recognition_a.pt"))
    assert saved_layers.load(file.parent).path == two  # the only one
    (file.parent / "recognition_b.pt").write_bytes(two.read_bytes())
    assert "recognition_a.pt" in refused(file.parent) and "recognition_b.pt" in refused(file.parent)
    assert saved_layers.load(two).path == two
    two.rename(file)
    assert saved_layers.load(file.parent).path == file  # the usual one


def test_layers_of_another_encoder_are_refused(file, data_root):
    write_run(file.parent, data_root, seed=5)  # the same name, other weights
    assert "another encoder" in refused(file) and "checkpoint_0003.pt" in refused(file)
    (file.parent / "checkpoint_0003.pt").unlink()
    assert "checkpoint_0003.pt" in refused(file)


WEIGHT, BIAS = torch.zeros(60, 32), torch.zeros(60)
LAYERS = {"layers.0.weight": WEIGHT, "layers.0.bias": BIAS}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"format": "other"}, "linear layers"),
        ({"layers": None}, "'layers'"),
        ({"facts": None}, "'facts'"),
        ({"layers": {}}, "'layers'"),
        ({"layers": LAYERS | {"layers.0.weight": WEIGHT[:, :9].clone()}}, "layers.0.weight"),
        ({"layers": LAYERS | {"layers.0.weight": torch.zeros(1).expand(60, 32)}}, "'layers'"),
        ({"layers": LAYERS | {"layers.0.bias": BIAS + torch.nan}}, "layers.0.bias"),
        ({"layers": LAYERS | {"layers.0.bias": 3}}, "'layers'"),
        ({"classes": ["a", "b"]}, "layers.0"),
        ({"classes": ["\x1b[31m", *map(str, range(59))]}, "'classes'"),
        ({"classes": 60}, "'classes'"),
        ({"classes": []}, "'classes'"),
        ({"streams": ["joint,joint"]}, "'streams'"),
        ({"streams": ["joint", "bone"]}, "'streams'"),
        ({"streams": ["x"]}, "'streams'"),
        ({"dataset": 3}, "'dataset'"),
        ({"checkpoint": None}, "'checkpoint'"),
        ({"checkpoint": "/dev/zero"}, "/dev/zero"),
        ({"checkpoint": ""}, "not there"),
        ({"scale": {"mean": torch.zeros(1, 1, 32)}}, "deviation"),
        ({"scale": dict.fromkeys(("mean", "deviation"), torch.zeros(1, 1, 32))}, "'deviation'"),
        ({"scale": dict.fromkeys(("mean", "deviation"), torch.ones(1, 1, 9))}, "mean"),
        ({"encoder": {"weight": torch.zeros(3)}}, "weight"),
    ],
)
def test_files_that_are_not_whole_are_refused(file, parts, said):
    change(file, **parts)
    assert said in refused(file)


def test_damaged_files_are_refused(file):
    content = file.read_bytes()
    for cut in (0, 1, 100, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:cut])
        assert "action_classification.py" in refused(file)
    for at in range(0, len(content), 97):
        file.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        try:
            saved_layers.load(file)  # some bytes mean nothing
        except UserError as error:
            assert "\n" not in str(error)


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_a_pickle_runs_nothing(file, tmp_path):
    ran = tmp_path / "ran"
    torch.save({"format": saved_layers.FORMAT, "facts": Hostile(ran)}, file)
    assert "mkdir" in refused(file) and not ran.exists()
    refused(file.parent / "checkpoint_0003.pt")  # no layers either
