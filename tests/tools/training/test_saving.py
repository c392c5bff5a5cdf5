"""Checkpoints written in a thread: of the moment of saving, whole, and no error is lost."""

import threading

import pytest
import torch
from torch import nn

import pretrain
from tests.runs import call, pretraining
from tools.formats import checkpoint
from tools.formats.checkpoint import CheckpointError
from tools.training import run
from tools.training.saving import Saver

SECONDS = 60  # that nothing here takes


@pytest.fixture
def content():
    """A checkpoint of a model after a step of Adam, whose tensors are those of the model."""
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    sizes = {"hidden_size": 3, "num_head": 1, "num_layer": 1, "projector_width": 2}
    place = {"data_root": "data", "pre_dataset": "ntu60", "protocol": "cross_view"}
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scaler": {}}
    facts = {"settings": sizes | place, "data": {}, "metrics": {}}
    return {"epoch": 1, "step": 0} | state | facts


@pytest.fixture
def gate(monkeypatch):
    """Holds up the writing of checkpoints until it is set."""
    gate, write = threading.Event(), checkpoint.write

    def held_up(*arguments):
        assert gate.wait(SECONDS)
        write(*arguments)

    monkeypatch.setattr(checkpoint, "write", held_up)
    yield gate
    gate.set()


def test_a_checkpoint_holds_the_moment_of_saving_and_is_whole_at_the_end(tmp_path, content, gate):
    before = {key: weight.clone() for key, weight in content["model"].items()}
    steps = [moments["exp_avg"].clone() for moments in content["optimizer"]["state"].values()]
    with Saver(tmp_path, keep=3) as saver:
        path = saver.save(content)
        saver.check()
        for tensor in content["model"].values():
            tensor.zero_()
        for moments in content["optimizer"]["state"].values():
            moments["exp_avg"].zero_()
        assert not path.exists()
        gate.set()
    saved = checkpoint.load(path)
    assert all(torch.equal(saved["model"][key], weight) for key, weight in before.items())
    state = saved["optimizer"]["state"].values()
    assert all(torch.equal(m["exp_avg"], step) for m, step in zip(state, steps, strict=True))


def test_checkpoints_are_written_one_after_another_and_old_ones_go(tmp_path, content, gate):
    gate.set()
    with Saver(tmp_path, keep=2) as saver:
        for epoch in range(1, 6):
            content["model"]["weight"].fill_(epoch)
            saver.save(content | {"epoch": epoch})
    assert [checkpoint.position(path)[0] for path in checkpoint.in_folder(tmp_path)] == [4, 5]
    for epoch, path in zip((4, 5), checkpoint.in_folder(tmp_path), strict=True):
        assert (checkpoint.load(path)["model"]["weight"] == epoch).all()


def test_what_goes_wrong_is_raised_by_whatever_comes_next(tmp_path, content):
    content["model"]["weight"][0] = torch.nan
    for method in ("wait", "check", "save", "the end"):
        with pytest.raises(CheckpointError, match=r"model.weight is not finite"):  # noqa: SIM117
            with Saver(tmp_path, keep=2) as saver:
                saver.save(content)
                while not saver._writing.done():
                    pass
                if method != "the end":
                    getattr(saver, method)(*[content] * (method == "save"))
    with pytest.raises(ZeroDivisionError), Saver(tmp_path, keep=2) as saver:
        saver.save(content)
        raise ZeroDivisionError  # the first error counts
    assert not list(tmp_path.iterdir())


def test_an_error_in_the_training_does_not_cut_a_checkpoint_short(tmp_path, content, gate):
    with pytest.raises(ZeroDivisionError), Saver(tmp_path, keep=2) as saver:
        path = saver.save(content)
        gate.set()
        raise ZeroDivisionError
    assert checkpoint.load(path)["epoch"] == 1


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path, data_root, gate, monkeypatch):
    steps, step = [], run.training_step

    def stepping(*arguments):
        steps.append(step(*arguments))
        if len(steps) == 4:  # of two an epoch, after each of which a checkpoint is begun
            gate.set()
        return steps[-1]

    monkeypatch.setattr(run, "training_step", stepping)
    done = call(pretrain.main, *pretraining(data_root, tmp_path / "run", "--epochs", 2))
    assert done.code == 0, done.err
    for path in checkpoint.in_folder(tmp_path / "run"):
        assert checkpoint.load(path)["epoch"] == checkpoint.position(path)[0]
