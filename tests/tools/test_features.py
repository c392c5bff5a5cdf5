"""Features of recordings and of stores, without labels."""

import shutil
from pathlib import Path

import numpy as np

import action_classification
import action_retrieval
from data_gen import own_gendata
from feeder.store import open_store
from tests.runs import call, refusal, succeed, train
from tests.tiny_run import features_of
from tools import features


def encode(out: Path, *flags):
    """Call the command, to a good end; the arrays that it writes."""
    succeed(features.main, *flags, "--out", out)
    return np.load(out, allow_pickle=False)


def test_recordings_and_the_store_of_them_have_the_same_features(people, tmp_path):
    of_store = encode(tmp_path / "a.npz", people / "run", people / "data" / "people")
    found = encode(tmp_path / "b.npz", people / "run", people / "raw")
    names = [Path(name).stem for name in found["names"]]
    assert names == of_store["names"].tolist()
    np.testing.assert_allclose(found["features"], of_store["features"], rtol=1e-4, atol=1e-5)
    store = open_store(people / "data", "people")
    assert (found["frames"] == np.stack([0 * store.length, store.length], 1)).all()
    alone = features_of(people / "run", store)
    np.testing.assert_allclose(of_store["features"], alone, rtol=1e-4, atol=1e-5)


def test_no_labels_are_needed_and_evaluations_say_that_they_need_them(people, tmp_path):
    bare = shutil.copytree(people / "raw", tmp_path / "bare")
    (bare / "clips.csv").unlink()
    flags = ["--name", "bare", "--clips", str(bare), "--skeleton", "coco_17", "--bodies", "1"]
    own_gendata.main([*flags, "--workers", "1", "--out_folder", str(tmp_path / "data")])
    flags = (people / "run", tmp_path / "data" / "bare", "--modalities", "bone")
    found = encode(tmp_path / "a.npz", *flags)
    assert len(found["features"]) == len(list(bare.glob("*.npy")))
    data, protocol = tmp_path / "data", ("--protocol", "split")
    train(data, tmp_path / "run", "--pre-dataset", "bare", "--epochs", 1, *protocol)
    flags = ("--data-root", data, "--finetune-dataset", "bare", *protocol)
    for main in (action_classification.main, action_retrieval.main):
        assert "label" in refusal(main, "--checkpoint-path", people / "run", *flags)


def test_windows_slide_over_a_recording_and_skip_where_nobody_is(people, day, tmp_path):
    flags = (people / "run", day, "--window", "1s", "--stride", 15)
    found = encode(tmp_path / "a.npz", *flags)
    starts, ends = found["frames"].T
    assert (ends - starts == 30).all() and (np.diff(starts) >= 1).all()
    assert np.diff(starts).max() >= 90 and set(found["names"]) == {str(day)}


def test_bad_recordings_are_listed_and_the_others_are_encoded(people, recordings, tmp_path):
    folder, good = tmp_path / "recordings", np.load(recordings[0])
    (folder / "deep").mkdir(parents=True)
    np.save(folder / "deep" / "a.npy", good)
    np.save(folder / "bad.npy", 0 * good)
    done = call(features.main, people / "run", folder, "--out", tmp_path / "a.npz")
    assert done.code == 1 and "bad.npy" in done.err.splitlines()[-1]
    assert np.load(tmp_path / "a.npz")["names"].tolist() == [str(folder / "deep" / "a.npy")]
    (folder / "deep" / "a.npy").unlink()
    done = call(features.main, people / "run", folder, "--out", tmp_path / "b.npz")
    assert done.code == 1 and not (tmp_path / "b.npz").exists()


def test_flags_without_effect_and_other_skeletons_are_refused(people, data_root, tmp_path):
    store, out = people / "data" / "people", tmp_path / "a.npz"
    for flags, code, said in (
        ((store, "--window", "30"), 2, "--window"),
        ((store, "--unit", "mm"), 2, "--unit"),
        ((people / "raw", "--stride", "30"), 2, "--stride"),
        ((people / "raw", "--window", "30", "--fps", "25"), 2, "--fps"),
        ((data_root / "ntu60",), 1, "25 joints"),
    ):
        done = call(features.main, people / "run", *flags, "--out", out)
        assert done.code == code and said in done.err.splitlines()[-1] and not out.exists()
    recording = tmp_path / "a.npy"
    recording.write_bytes(b"a recording")
    assert call(features.main, people / "run", recording, "--out", recording).code == 2
