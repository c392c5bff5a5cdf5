"""What the evaluations share: encoders from checkpoints, features of clips, names of results."""

import argparse
from itertools import permutations

import numpy as np
import pytest
import torch

from data_gen.preparing.clip import prepare_clip
from data_gen.readers.skeleton_file import read_skeleton_file
from feeder.store import open_store
from net.modalities import MODALITIES, derive
from tests.golden_files import GOLDEN
from tests.literal import input as literal_views
from tests.literal.model import Encoder as LiteralEncoder
from tests.tiny_run import write_run
from tests.tiny_store import write_store
from tools.cli import UserError
from tools.evaluation import subject as evaluation
from tools.formats import checkpoint
from tools.formats.published import to_published


@pytest.fixture
def run(data_root, tmp_path):
    return write_run(tmp_path / "run", data_root)


def subject(run, *flags):
    parser = argparse.ArgumentParser()
    evaluation.add_arguments(parser)
    flags = ["--checkpoint-path", run, *flags]
    return evaluation.load_subject(parser.parse_args([str(flag) for flag in flags]))


def test_modalities_are_a_set_in_one_order():
    for size in (1, 2, 3):
        for names in permutations(MODALITIES, size):
            found = evaluation.modalities(",".join(names))
            assert set(found) == set(names) and found == tuple(sorted(found, key=MODALITIES.index))
    for wrong in ("", "joints", "joint,", "joint,joint", "joint bone", "Joint"):
        with pytest.raises(argparse.ArgumentTypeError):
            evaluation.modalities(wrong)


def test_six_lines_encode_a_recording(run):
    encoder = evaluation.load_encoder(run)
    file = GOLDEN / "skeletons" / "S001C001P001R001A001.skeleton"
    feature = evaluation.encode_clip(encoder, evaluation.read_recording(file))
    assert feature.shape == (32,) and feature.dtype == torch.float32

    file_of_run = next(run.glob("*.pt"))
    assert torch.equal(
        feature,
        evaluation.encode_clip(
            evaluation.load_encoder(str(file_of_run)), prepare_clip(read_skeleton_file(file))
        ),
    )


@pytest.mark.parametrize("names", [("joint",), ("bone",), ("motion",), MODALITIES])
def test_features_are_those_of_the_literal_version(run, data_root, names):
    """Batched, from the store, against one clip at a time in the published layout."""
    chosen = subject(run, "--modalities", ",".join(names))
    rows = np.array([40, 3, 7])
    features = evaluation.extract_features(chosen, rows, "")
    path = checkpoint.newest(run)
    state = to_published(checkpoint.load(path), path)["state_dict"].items()
    literal = LiteralEncoder(16, 2, 1).eval()
    literal.load_state_dict(
        {k.removeprefix("module.backbone."): v for k, v in state if "backbone" in k}
    )
    encode = literal.fused if names == MODALITIES else getattr(literal, names[0])
    store = open_store(data_root, "ntu60")
    for row, feature in zip(rows, features, strict=True):
        clip = store.joints[store.start[row] : store.start[row] + store.frames[row]]
        view = literal_views.evaluation_view(np.ascontiguousarray(clip.transpose(3, 0, 2, 1)))
        with torch.no_grad():
            expected = encode(torch.from_numpy(view)[None])[0]
        torch.testing.assert_close(feature, expected, rtol=1e-4, atol=1e-5)


def test_two_modalities_are_fused_by_their_mean(run, data_root):
    encoder = evaluation.load_encoder(run)
    clips = torch.randn(3, 64, 2, 25, 3)
    found = encoder(derive(clips, ("joint", "motion")))
    for stream in (encoder.temporal, encoder.spatial):
        # Half of joint's and of motion's embedding are what is left of three without bone's.
        torch.nn.init.zeros_(stream.embeddings["bone"][-1].weight)
        torch.nn.init.zeros_(stream.embeddings["bone"][-1].bias)
        stream.fusion.weight.mul_(3 / 2)
    torch.testing.assert_close(encoder(derive(clips)), found, rtol=1e-4, atol=1e-5)


def test_features_do_not_depend_on_the_batch(run, data_root, monkeypatch):
    chosen = subject(run)
    whole = evaluation.extract_features(chosen, chosen.train, "")
    monkeypatch.setattr(evaluation, "ENCODING_BATCH", 5)
    torch.testing.assert_close(evaluation.extract_features(chosen, chosen.train, ""), whole)


def test_the_random_encoder_has_the_shape_but_not_the_weights(tmp_path, data_root):
    run = write_run(tmp_path, data_root, seed=9)
    pretrained, random, again, other = (
        subject(run, *flags).encoder.state_dict()
        for flags in (
            [],
            ["--pretrained", "random"],
            ["--pretrained", "random"],
            ["--pretrained", "random", "--seed", "1"],
        )
    )
    key = "temporal.fusion.weight"
    assert random.keys() == pretrained.keys()
    assert torch.equal(random[key], again[key])
    assert not torch.equal(random[key], pretrained[key])
    assert not torch.equal(random[key], other[key])


def test_a_checkpoint_may_be_named_in_three_ways(run, data_root, tmp_path):
    other = write_run(tmp_path / "other", data_root, seed=7)
    file = next(other.glob("*.pt"))
    by_folder, by_file, beside = subject(other), subject(file), subject(run, "--pretrained", file)
    weights = [s.encoder.temporal.fusion.weight for s in (by_folder, by_file, beside)]
    assert torch.equal(weights[0], weights[1]) and torch.equal(weights[0], weights[2])
    assert (by_folder.folder, by_file.folder, beside.folder) == (other, other, run)
    assert beside.source == str(file)


def test_data_and_classes_may_be_others_than_those_of_pretraining(run, tmp_path):
    write_store(tmp_path, "ntu120", classes=6)
    chosen = subject(
        run,
        *("--data-root", tmp_path, "--finetune-dataset", "ntu120", "--protocol", "cross_setup"),
    )
    assert chosen.store.num_classes == 120 and chosen.store.folder == tmp_path / "ntu120"
    assert (chosen.store.setup[chosen.train] % 2 == 0).all()
    name = evaluation.result_name(chosen, "recognition", "finetune")
    assert name == "recognition_finetune_ntu120_cross_setup"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w.pop("encoder.spatial.fusion.weight"), "lacks the weight"),
        (lambda w: w.update({"encoder.more": torch.ones(3)}), "unknown here"),
        (lambda w: w["encoder.spatial.fusion.weight"].fill_(torch.inf), "not finite"),
        (lambda w: w.update({"encoder.spatial.fusion.weight": torch.ones(2, 2)}), r"\[2, 2\]"),
    ],
)
def test_weights_that_do_not_fit_are_refused_in_one_line(run, change, said):
    path = next(run.glob("*.pt"))
    saved = torch.load(path, weights_only=True)
    change(saved["model"])
    torch.save(saved, path)
    with pytest.raises(UserError, match=said) as error:
        evaluation.load_encoder(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_results_are_written_whole_or_not_at_all(run, monkeypatch):
    chosen = subject(run)
    path = evaluation.write_results(chosen, "retrieval", "retrieval", {"accuracy": 50.0})
    before = path.read_text()
    with pytest.raises(TypeError):
        evaluation.write_results(chosen, "retrieval", "retrieval", {"accuracy": object()})
    monkeypatch.setattr(evaluation.Path, "replace", None)
    with pytest.raises(TypeError):
        evaluation.write_results(chosen, "retrieval", "retrieval", {"accuracy": 0.0})
    assert path.read_text() == before and not list(run.glob("*.part"))
