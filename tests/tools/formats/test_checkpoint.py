"""Checkpoints: written whole or not at all, held against a model, and explained."""

from pathlib import Path

import pytest
import torch
from torch import nn

from data_gen.preparing import files
from tests.tools.saved import equal, parts
from tools.formats import checkpoint
from tools.formats.checkpoint import CheckpointError, check_fits, in_folder, load, path_of, save

# ---- writing


def test_what_is_saved_is_loaded(tmp_path):
    path = save(tmp_path, parts())
    assert path == tmp_path / "checkpoint_0003.pt" and list(tmp_path.iterdir()) == [path]
    loaded = load(path)
    assert equal({name: loaded[name] for name in parts()}, parts())
    assert loaded["code"]["umurl"] == checkpoint.VERSION
    assert loaded["code"]["torch"] == torch.__version__
    assert save(tmp_path, parts(3, 12)).name == "checkpoint_0003_000012.pt"


def test_the_newest_is_that_of_the_latest_step(tmp_path):
    for at in ((2, 0), (10, 0), (9, 3), (9, 11), (12345, 0)):
        save(tmp_path, parts(*at))
    for name in ("checkpoint_.pt", "checkpoint_0099.part", "checkpoint_0099.pt.bak", "x.pt"):
        (tmp_path / name).touch()
    order = [checkpoint.position(path) for path in in_folder(tmp_path)]
    assert order == [(2, 0), (9, 3), (9, 11), (10, 0), (12345, 0)]
    assert checkpoint.newest(tmp_path) == path_of(tmp_path, 12345)
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        checkpoint.newest(tmp_path / "nothing")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("stage", ["torch.save", "os.fsync", "pathlib.Path.replace"])
def test_a_write_that_fails_at_any_stage_changes_nothing(tmp_path, monkeypatch, stage, error):
    for epoch in (1, 2):
        save(tmp_path, parts(epoch))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*_):
        raise error

    monkeypatch.setattr(stage, fail)
    with pytest.raises((CheckpointError, KeyboardInterrupt)) as raised:
        save(tmp_path, parts(3), keep=1)
    if isinstance(error, OSError):
        assert "could not be written (No space left on device)" in str(raised.value)
        assert "make room" in str(raised.value)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_older_ones_go_only_when_the_new_one_is_safe(tmp_path, monkeypatch):
    for epoch in (1, 2, 3):
        save(tmp_path, parts(epoch))
    events, unlink, sync = [], Path.unlink, files.sync

    def record_unlink(path, missing_ok=False):
        if path.suffix == ".pt":
            events.append(path.name)
        unlink(path, missing_ok)

    def record_sync(path):
        sync(path)
        if path.is_dir():
            assert load(path_of(path, 4))
            events.append("safe")

    monkeypatch.setattr(Path, "unlink", record_unlink)
    monkeypatch.setattr(files, "sync", record_sync)
    save(tmp_path, parts(4), keep=2)
    assert events == ["safe", "checkpoint_0001.pt", "checkpoint_0002.pt"]


@pytest.mark.parametrize(
    ("keep", "left"), [(None, [1, 2, 3, 8, 9]), (1, [3, 8, 9]), (2, [2, 3, 8, 9])]
)
def test_the_new_one_and_later_ones_are_never_dropped(tmp_path, keep, left):
    # Later ones were damaged, so that the run went on from an earlier one.
    for epoch in (1, 2, 8, 9):
        save(tmp_path, parts(epoch))
    save(tmp_path, parts(3), keep)
    assert [checkpoint.position(path)[0] for path in in_folder(tmp_path)] == left


def test_what_a_killed_run_left_is_cleared(tmp_path):
    (tmp_path / "checkpoint_0002.part").write_bytes(b"half")
    save(tmp_path, parts(3))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint_0003.pt"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["model", "optimizer"])
def test_broken_numbers_are_never_saved(tmp_path, name, value):
    broken = parts()
    tensor = (
        broken["model"]["encoder.bias"]
        if name == "model"
        else broken["optimizer"]["state"][1]["exp_avg_sq"]
    )
    tensor[5] = value
    where = {"model": "model.encoder.bias", "optimizer": "optimizer.state.1.exp_avg_sq"}[name]
    with pytest.raises(CheckpointError, match=f"not written: {where} is not finite"):
        save(tmp_path, broken)
    assert not list(tmp_path.iterdir())


# ---- weights for a module


def test_weights_that_fit(tmp_path):
    layer = nn.Linear(8, 16)
    check_fits(layer, nn.Linear(8, 16).state_dict(), "here")
    with torch.device("meta"):
        outline = nn.Linear(8, 16)
    check_fits(outline, layer.state_dict(), "here")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"weight": None}, "here lacks the weight weight"),
        ({"more": torch.ones(1)}, "here has a weight unknown here, more"),
        ({"bias": torch.ones(17)}, r"here: bias is torch.float32 \[17\], the model's is .* \[16\]"),
        ({"bias": torch.ones(16).long()}, "here: bias is torch.int64"),
        ({"bias": torch.full((16,), float("nan"))}, "here: bias is not finite"),
    ],
)
def test_weights_that_do_not_fit_are_named(changes, fault):
    weights = nn.Linear(8, 16).state_dict() | changes
    with pytest.raises(CheckpointError, match=fault):
        check_fits(nn.Linear(8, 16), {k: v for k, v in weights.items() if v is not None}, "here")
