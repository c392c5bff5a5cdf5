"""The command `tools.convert`: its targets, a full disk, what an ended run left."""

import os
from types import SimpleNamespace

import pytest

from tools.cli import UserError


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(
    converted, tmp_path, data_root, monkeypatch
):
    tiny = SimpleNamespace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: tiny)
    monkeypatch.setattr("tools.formats.padding.tqdm", None)  # which stands around the writing
    with pytest.raises(OSError, match="MB are needed"):
        converted("to-arrays", data_root / "ntu60", tmp_path / "deep" / "a")
    assert not list(tmp_path.iterdir())


def test_what_an_ended_export_left_is_in_nobodys_way(converted, tmp_path, data_root):
    for left in (".a.new", f"a.{os.getpid()}.part"):
        (tmp_path / left).mkdir()
        (tmp_path / left / "train_data_joint.npy").write_bytes(b"half")
    converted("to-arrays", data_root / "ntu60", tmp_path / "a")
    assert len(list((tmp_path / "a").iterdir())) == 8


def test_targets_must_be_free_and_be_data_sets(converted, tmp_path, data_root):
    with pytest.raises(UserError, match="is not UmURL"):
        converted("from-arrays", tmp_path, tmp_path / "ntu61")
    with pytest.raises(UserError, match="is there already"):
        converted("to-arrays", data_root / "ntu60", data_root)
    with pytest.raises(ValueError, match="cross_setup"):
        converted("to-arrays", data_root / "ntu60", tmp_path / "a", "--protocol", "cross_setup")
    assert not list(tmp_path.iterdir())
