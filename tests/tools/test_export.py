"""Exported programs give the encoder's features and the classes that tools.classify prints."""

import csv
import json

import pytest
import torch

import action_classification
from common import UserError
from feeder.augment import resize
from feeder.store import open_store
from tests.golden_files import GOLDEN
from tools import classify, export
from tools.evaluation.encoders import load_encoder
from tools.evaluation.features import encode_clip, read_recording


def call(*flags):
    export.main([*map(str, flags)])


def clips(data_root, count):
    """Some clips of a store as the exported encoder takes them, and unresized."""
    store = open_store(data_root, "ntu60")
    start, length = (torch.from_numpy(x[:count]) for x in (store.start, store.length))
    return resize(torch.from_numpy(store.joints), start, length), map(store.clip, range(count))


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


def test_named_probabilities_are_those_of_classify(run, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    flags = ["--checkpoint-path", str(run), "--epochs", "3", "--lr", "1", "--late-fusion"]
    action_classification.main(flags)
    files = sorted((GOLDEN / "skeletons").glob("*.skeleton"))[:4]
    table = ["--neighbors", "0", "--csv", str(tmp_path / "a.csv")]
    classify.main([str(run), *map(str, files), *table])
    call("--checkpoint-path", run, "--with-classes", "--out", tmp_path / "a.onnx")
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


def test_what_is_missing_is_an_error_of_the_flag(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    for flags, said in (
        (("a.pth",), ".pt2"),
        (("a.onnx",), "pip install onnx onnxscript onnxruntime"),
        (("a.pt2", "--with-classes", "--modalities", "joint"), "--modalities"),
    ):
        with pytest.raises(SystemExit):
            call("--checkpoint-path", run, "--out", tmp_path / flags[0], *flags[1:])
        assert said in capsys.readouterr().err
