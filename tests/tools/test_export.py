"""Exported programs give the encoder's features and the classes that tools.classify prints."""

import csv
import json

import numpy as np
import pytest
import torch

import action_classification
from common import UserError
from feeder.batches import whole_clips
from tests.golden_files import GOLDEN
from tests.runs import call, succeed
from tests.tiny_run import features_of
from tools import classify, export
from tools.evaluation.encoders import load_encoder
from tools.evaluation.features import read_recording


@pytest.mark.parametrize(("suffix", "names"), [(".pt2", "bone"), (".onnx", "joint,bone,motion")])
def test_features_are_the_encoders(run, store, tmp_path, suffix, names):
    if suffix == ".onnx":
        for module in export.ONNX_MODULES:
            pytest.importorskip(module)
    file = tmp_path / "deep" / f"encoder{suffix}"
    succeed(export.main, "--checkpoint-path", run, "--modalities", names, "--out", file)
    assert [path.name for path in file.parent.iterdir()] == [file.name]  # weights inside
    expected, exported = features_of(run, store, names.split(",")), export.read(file, suffix)
    for count in (1, 2, 7):
        views = whole_clips(store, np.arange(count), torch.device("cpu"))
        with torch.no_grad():
            found = exported(views)
        torch.testing.assert_close(found, expected[:count], rtol=1e-4, atol=1e-5)


def test_named_probabilities_are_those_of_classify(run, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    where = ("--checkpoint-path", run)
    succeed(action_classification.main, *where, "--epochs", 3, "--lr", 1, "--late-fusion")
    files = sorted((GOLDEN / "skeletons").glob("*.skeleton"))[:4]
    succeed(classify.main, run, *files, "--neighbors", 0, "--csv", tmp_path / "a.csv")
    succeed(export.main, *where, "--with-classes", "--out", tmp_path / "a.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    with (tmp_path / "a.csv").open() as table:
        for path, row in zip(files, csv.DictReader(table), strict=True):
            clip = read_recording(path)  # (T, M, V, C), of another length each
            (found,) = session.run(None, {"joints": clip})
            assert found.shape == (60,)
            for i, k in enumerate(found.argsort()[::-1][:5], 1):
                assert classes[k] == row[f"class_{i}"]
                assert found[k] == pytest.approx(float(row[f"probability_{i}"]), abs=2e-6)


def test_an_encoder_that_differs_is_refused(run):
    one, other = (export.JointsToFeature(load_encoder(run), (m,)) for m in ("joint", "bone"))
    assert export.compare(one, one) == 0
    with pytest.raises(UserError):
        export.compare(one, other)


def test_what_is_missing_is_an_error_of_the_flag(run, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    monkeypatch.chdir(tmp_path)
    for flags, said in (
        (("a.pth",), ".pt2"),
        (("a.onnx",), "pip install onnx onnxscript onnxruntime"),
        (("a.pt2", "--with-classes", "--modalities", "joint"), "--modalities"),
    ):
        ended = call(export.main, "--checkpoint-path", run, "--out", *flags)
        assert ended.code == 2 and said in ended.err
