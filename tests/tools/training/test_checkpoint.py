"""Checkpoints: names, atomic writes, and files that are damaged or of other code."""

import pickle

import pytest
import torch
from torch import nn

from common import UserError
from tests.tiny_run import write_run
from tests.tools.formats.foreign import Opens
from tools.training import checkpoint


@pytest.fixture
def content(tmp_path) -> dict:
    """All parts of a small checkpoint."""
    return torch.load(checkpoint.newest(write_run(tmp_path / "made")), weights_only=True)


def test_what_is_saved_is_loaded_and_the_newest_is_that_of_the_latest_step(tmp_path, content):
    for epoch, step in ((9, 0), (10, 3), (10, 12), (2, 0)):
        path = checkpoint.save(tmp_path, content | {"epoch": epoch, "step": step})
        assert checkpoint.position(path) == (epoch, step)
    loaded = checkpoint.load(checkpoint.newest(tmp_path))
    assert (loaded["epoch"], loaded["step"]) == (10, 12)
    assert loaded.keys() == content.keys() and loaded["settings"] == content["settings"]
    torch.testing.assert_close(loaded["model"], content["model"], rtol=0, atol=0)
    assert "spatial.fusion.weight" in checkpoint.encoder_of(loaded)


@pytest.mark.parametrize(("keep", "left"), [(2, [3, 4]), (None, [1, 2, 3, 4])])
def test_older_checkpoints_go(tmp_path, content, keep, left):
    (tmp_path / "checkpoint_0001.pt.123.part").touch()  # of a run that was killed
    for epoch in range(1, 5):
        checkpoint.save(tmp_path, content | {"epoch": epoch}, keep)
    assert [checkpoint.position(path)[0] for path in checkpoint.in_folder(tmp_path)] == left
    assert not list(tmp_path.glob("*.part"))


def test_a_write_that_fails_leaves_nothing(tmp_path, content, monkeypatch):
    before = checkpoint.save(tmp_path, content | {"epoch": 1}).read_bytes()

    def fail(_, path):
        path.write_bytes(b"half")
        raise OSError("no space left")

    with monkeypatch.context() as patched, pytest.raises(UserError, match="checkpoint_0001"):
        patched.setattr(torch, "save", fail)
        checkpoint.save(tmp_path, content | {"epoch": 1})
    content["model"]["encoder.spatial.fusion.weight"][0, 0] = float("inf")
    with pytest.raises(UserError, match=r"encoder\.spatial\.fusion\.weight"):
        checkpoint.save(tmp_path, content | {"epoch": 1})
    assert checkpoint.newest(tmp_path).read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("kind", ["missing", "text", "truncated", "pickle", "code"])
def test_what_is_no_checkpoint_is_refused(tmp_path, content, kind):
    path, hostile = tmp_path / "checkpoint_0003.pt", Opens(str(tmp_path / "ran"))
    whole = checkpoint.save(tmp_path / "whole", content).read_bytes()
    if kind == "pickle":
        path.write_bytes(pickle.dumps(hostile))
    elif kind == "code":
        torch.save(content | {"format": hostile}, path)
    elif kind != "missing":
        path.write_bytes({"text": b"text", "truncated": whole[:-99]}[kind])
    with pytest.raises(UserError, match=r"checkpoint_0003\.pt") as refused:
        checkpoint.load(path)
    assert "\n" not in str(refused.value)
    assert kind != "code" or "Python objects" in str(refused.value)
    assert not (tmp_path / "ran").exists()


def test_weights_that_do_not_fit_are_named():
    model = nn.Linear(3, 2)
    state = model.state_dict()
    checkpoint.load_weights(model, state, "a.pt")
    for wrong, name in (
        ({"weight": state["weight"]}, "bias"),
        (state | {"more": torch.ones(1)}, "more"),
        (state | {"bias": torch.ones(3)}, "bias"),
    ):
        with pytest.raises(UserError, match=rf"a\.pt.*{name}"):
            checkpoint.load_weights(model, wrong, "a.pt")
