"""Features of recordings and of stores, without labels."""

import shutil
from pathlib import Path

import numpy as np
import torch

import action_classification
import action_retrieval
import pretrain
from data_gen import own_gendata
from feeder.store import open_store
from tests.runs import call, pretraining
from tests.tools.own_recordings import training_file, write_day
from tools import features
from tools.evaluation.encoders import load_encoder
from tools.evaluation.features import encode_clip


def encode(out: Path, *flags):
    """Call the command: its outcome, and the arrays that it wrote."""
    done = call(features.main, *flags, "--out", out)
    if not out.exists():
        return done, None
    with np.load(out, allow_pickle=False) as arrays:
        return done, dict(arrays)


def test_recordings_and_the_store_of_them_have_the_same_features(people, tmp_path):
    done, of_store = encode(tmp_path / "a.npz", people / "run", people / "data" / "people")
    assert done.code == 0, done.err
    done, found = encode(tmp_path / "b.npz", people / "run", people / "raw")
    assert done.code == 0, done.err
    names = [Path(name).stem for name in found["names"]]
    assert names == of_store["names"].tolist()
    np.testing.assert_allclose(found["features"], of_store["features"], rtol=1e-4, atol=1e-5)
    store, encoder = open_store(people / "data", "people"), load_encoder(people / "run")
    assert (found["frames"] == np.stack([0 * store.length, store.length], 1)).all()
    alone = torch.stack([encode_clip(encoder, np.array(store.clip(row))) for row in range(3)])
    np.testing.assert_allclose(of_store["features"][:3], alone, rtol=1e-4, atol=1e-5)


def test_no_labels_are_needed_and_evaluations_say_that_they_need_them(people, tmp_path):
    bare = shutil.copytree(people / "raw", tmp_path / "bare")
    (bare / "clips.csv").unlink()
    flags = ["--name", "bare", "--clips", str(bare), "--skeleton", "coco_17", "--bodies", "1"]
    own_gendata.main([*flags, "--workers", "1", "--out_folder", str(tmp_path / "data")])
    flags = (people / "run", tmp_path / "data" / "bare", "--modalities", "bone")
    done, found = encode(tmp_path / "a.npz", *flags)
    assert done.code == 0 and len(found["features"]) == len(list(bare.glob("*.npy"))), done.err
    flags = pretraining(tmp_path / "data", tmp_path / "run", "--pre-dataset", "bare", "--epochs", 1)
    protocol = ("--protocol", "split")
    assert call(pretrain.main, *flags, *protocol).code == 0  # without labels and test clips
    where = ("--checkpoint-path", people / "run", "--data-root", tmp_path / "data")
    for main in (action_classification.main, action_retrieval.main):
        ended = call(main, *where, "--finetune-dataset", "bare", *protocol)
        assert ended.code == 1 and "label" in ended.err and ended.err.count("\n") == 1


def test_windows_slide_over_a_recording_and_skip_where_nobody_is(people, tmp_path):
    day = write_day(people, tmp_path / "day.npy")
    flags = (people / "run", day, "--window", "1s", "--stride", 15)
    done, found = encode(tmp_path / "a.npz", *flags)
    assert done.code == 0, done.err
    starts, ends = found["frames"].T
    assert (ends - starts == 30).all() and (np.diff(starts) >= 1).all()
    assert np.diff(starts).max() >= 90 and set(found["names"]) == {str(day)}


def test_bad_recordings_are_listed_and_the_others_are_encoded(people, tmp_path):
    folder = tmp_path / "recordings"
    (folder / "deep").mkdir(parents=True)
    good = np.load(training_file(people))
    np.save(folder / "deep" / "a.npy", good)
    np.save(folder / "bad.npy", 0 * good)
    done, found = encode(tmp_path / "a.npz", people / "run", folder)
    assert done.code == 1 and "bad.npy" in done.err.splitlines()[-1]
    assert found["names"].tolist() == [str(folder / "deep" / "a.npy")]
    (folder / "deep" / "a.npy").unlink()
    done, found = encode(tmp_path / "b.npz", people / "run", folder)
    assert done.code == 1 and found is None


def test_flags_without_effect_and_other_skeletons_are_refused(people, data_root, tmp_path):
    store = people / "data" / "people"
    for flags, code, said in (
        ((store, "--window", "30"), 2, "--window"),
        ((store, "--unit", "mm"), 2, "--unit"),
        ((people / "raw", "--stride", "30"), 2, "--stride"),
        ((people / "raw", "--window", "30", "--fps", "25"), 2, "--fps"),
        ((data_root / "ntu60",), 1, "25 joints"),
    ):
        done, found = encode(tmp_path / "a.npz", people / "run", *flags)
        assert done.code == code and said in done.err.splitlines()[-1] and found is None
