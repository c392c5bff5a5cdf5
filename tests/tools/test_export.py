"""The exported encoder gives the encoder's features, for any number of clips."""

import pytest
import torch

from common import UserError
from feeder.augment import resize
from feeder.store import open_store
from tools import export
from tools.evaluation.encoders import load_encoder
from tools.evaluation.features import encode_clip


def call(*flags):
    export.main([*map(str, flags)])


def clips(data_root, count):
    """Some clips of a store as the exported encoder takes them, and unresized."""
    store = open_store(data_root, "ntu60")
    start, length = (torch.from_numpy(x[:count]) for x in (store.start, store.length))
    whole = [store.joints[a : a + n] for a, n in zip(start, length, strict=True)]
    return resize(torch.from_numpy(store.joints), start, length), whole


@pytest.mark.parametrize(("suffix", "names"), [(".pt2", "bone"), (".onnx", "joint,bone,motion")])
def test_features_are_the_encoders(run, data_root, tmp_path, suffix, names):
    if suffix == ".onnx":
        for module in export.ONNX_MODULES:
            pytest.importorskip(module)
    file = tmp_path / "deep" / f"encoder{suffix}"
    call("--checkpoint-path", run, "--modalities", names, "--out", file)
    assert [path.name for path in file.parent.iterdir()] == [file.name]  # weights inside
    encoder, exported = load_encoder(run), export.read(file, suffix)
    for count in (1, 2, 7):
        views, whole = clips(data_root, count)
        features = [encode_clip(encoder, clip, tuple(names.split(","))) for clip in whole]
        with torch.no_grad():
            found = exported(views)
        torch.testing.assert_close(found, torch.stack(features), rtol=1e-4, atol=1e-5)


def test_an_encoder_that_differs_is_not_written(run, tmp_path, monkeypatch):
    other = export.JointsToFeature(load_encoder(run), ("joint",))
    monkeypatch.setattr(export, "read", lambda path, suffix: other)
    with pytest.raises(UserError):
        call("--checkpoint-path", run, "--out", tmp_path / "a.pt2")
    assert not list(tmp_path.glob("*.pt2*"))


def test_what_is_missing_is_an_error_of_the_flag(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    for out, said in (("a.pth", ".pt2"), ("a.onnx", "pip install onnx onnxscript onnxruntime")):
        with pytest.raises(SystemExit):
            call("--checkpoint-path", run, "--out", tmp_path / out)
        assert said in capsys.readouterr().err
