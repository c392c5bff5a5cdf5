"""A data set with another skeleton is trained and evaluated, with no edit outside its reader."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import action_classification
import action_retrieval
import pretrain
from data_gen.clip import prepare_clip
from data_gen.writer import StoreWriter
from feeder.description import Description, Split
from feeder.skeletons import Layout, Skeleton
from feeder.store import open_store
from tests.golden_files import GOLDEN
from tests.runs import pretraining, refusal, succeed, train
from tests.tiny_run import write_run
from tools import classify, convert, tsne, visualize
from tools.evaluation.encoders import load_encoder
from tools.report import __main__ as report
from tools.training import checkpoint

PARENTS = {  # of a body that no sensor has: it has a tail and no head
    "hip": "waist", "waist": "waist", "chest": "waist", "tail": "hip", "end of tail": "tail",
    "left arm": "chest", "left elbow": "left arm", "left hand": "left elbow",
    "right arm": "chest", "right elbow": "right arm", "right hand": "right elbow",
    "left leg": "hip", "left knee": "left leg", "left foot": "left knee",
    "right leg": "hip", "right knee": "right leg", "right foot": "right knee",
}  # fmt: skip
CREATURE = Skeleton.from_plain(
    {
        "name": "creature",
        "joints": list(PARENTS),
        "parents": list(PARENTS.values()),
        "origin": ["left leg", "right leg"],
        "shoulders": ["left arm", "right arm"],
    }
)
CREATURES = Description(
    "Creatures",
    Layout(CREATURE, 1),
    ("crouch", "leap", "howl"),
    {"by_den": Split("setup", "odd"), "by_hand": Split("chosen")},
    "made up by a test",
    "python read_creatures.py",
)
NTU_RECORDING = "S001C001P001R001A001.skeleton"
DEN = ("--pre-dataset", "creatures", "--protocol", "by_den")


def write_creatures(data_root: Path) -> Path:
    """Write 36 clips, as the reader of such a data set would; a class is a pose and a swing."""
    rng = np.random.default_rng(0)
    with StoreWriter(data_root / "creatures", CREATURES) as store:
        for i in range(36):
            action, frames = 1 + i % 3, int(rng.integers(20, 90))
            own = np.random.default_rng(action)
            pose, swing = own.normal(0, 0.4, (2, 17, 3))
            phase = own.uniform(3, 9) * np.arange(frames)[:, None, None] / frames
            body = pose + swing * np.sin(phase) + rng.normal(0, 0.02, (frames, 17, 3)) + (0, 0, 3)
            clip = prepare_clip(body[:, None], CREATURES.layout)
            store.add(f"creature {i:02d}", (1 + i // 3, 1, 1 + i // 9, 1, action), clip, (i % 2,))
        store.commit()
    return data_root


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, Path]:
    """A --data-root with the creatures, and the folder of a run that was trained on them."""
    folder = tmp_path_factory.mktemp("creatures")
    root, run = write_creatures(folder / "data"), folder / "run"
    train(root, run, *DEN, "--epochs", 3, "--monitor-every", 2)
    return root, run


def test_the_run_remembers_its_skeleton_and_is_resumed_with(trained):
    root, run = trained
    saved = checkpoint.load(checkpoint.newest(run))
    assert checkpoint.layout_of(saved) == load_encoder(run).layout == CREATURES.layout
    assert saved["model"]["encoder.temporal.embeddings.bone.0.weight"].shape[1] == 17 * 3
    said = succeed(pretrain.main, *pretraining(root, run, *DEN, "--epochs", 4))
    assert "resuming" in said


def test_a_run_does_not_go_on_with_other_bones(trained, tmp_path):
    root, run = trained
    shutil.copytree(root / "creatures", tmp_path / "creatures")
    file = tmp_path / "creatures/store.json"
    file.write_text(file.read_text().replace('"name": "creature"', '"name": "x"'))
    before = sorted(run.glob("*.pt"))
    flags = pretraining(tmp_path, run, *DEN, "--epochs", 9, "--resume-anyway")
    assert "17 joints (creature)" in refusal(pretrain.main, *flags)
    assert sorted(run.glob("*.pt")) == before


def test_it_is_evaluated_and_shown(trained, tmp_path):
    root, run = trained
    store, here = open_store(root, "creatures"), ("--checkpoint-path", run)
    assert store.title == "Creatures" and store.class_names == ["crouch", "leap", "howl"]
    sample = ("--data-root", root, "--dataset", "creatures", "--sample", "creature 07")
    for main, *flags in (
        (action_classification.main, *here, "--finetune", "--augment", "full", "--epochs", 1),
        (action_classification.main, *here, "--epochs", 3),
        (action_retrieval.main, *here),
        (visualize.main, *sample, "--augmented", "--frames", 2, "--out", tmp_path / "a.png"),
        (tsne.main, "--checkpoint", run, "--classes", 3, "--out", tmp_path / "t"),
        (report.main, run, "--out", tmp_path / "report.html"),
    ):
        succeed(main, *flags)
    result = json.loads((run / "retrieval.json").read_text())
    assert result["accuracy"] > 90 and result["test_clips"] == 18
    assert json.loads((tmp_path / "t.json").read_text())["classes"] == store.class_names
    page = (tmp_path / "report.html").read_text()
    assert all(name in page for name in store.class_names)
    assert json.dumps(list(CREATURE.parents)) in page

    # A new recording is classified.
    np.save(tmp_path / "a.npy", store.clip(4) + np.float32((0, 0, 3)))  # before a camera
    said = succeed(classify.main, run / "recognition_epochs3.pt", tmp_path / "a.npy")
    assert store.class_names[store.label[4]] in said


def test_what_does_not_fit_the_skeleton_is_refused_in_one_line(trained, data_root, tmp_path):
    root, run = trained
    here, ntu = ("--checkpoint-path", run), write_run(tmp_path / "ntu", data_root)
    elsewhere = ("--data-root", data_root, "--finetune-dataset", "ntu60")
    creatures = ("--data-root", root, "--finetune-dataset", "creatures")
    for main, *flags in (
        (action_classification.main, *here, *elsewhere, "--protocol", "cross_view"),
        (action_retrieval.main, "--checkpoint-path", ntu, *creatures),
        (action_retrieval.main, *here, "--query", GOLDEN / "skeletons" / NTU_RECORDING),
        (convert.main, "to-npz", root / "creatures", tmp_path / "out", "--protocol", "by_den"),
    ):
        error = refusal(main, *flags)
        assert "creature" in error and "25" in error
    assert not (tmp_path / "out").exists()
