"""Files of results: each evaluation has its own, and they say which experiment it was."""

import json

import pytest
import torch

from common import UserError
from tests.runs import events
from tests.tiny_run import write_run
from tools.evaluation import encoders, results
from tools.evaluation.features import Scale, split_for
from tools.evaluation.results import defaults
from tools.training import checkpoint

ALL = ("joint", "bone", "motion")
SCALE = Scale(torch.zeros(1, 1, 32), torch.ones(1, 1, 32))


def evaluation(run, task="recognition", which="final", modalities=ALL, **settings):
    loaded = encoders.load(run, which)
    more = {name: settings.pop(name) for name in ("seed", "runs", "scale") if name in settings}
    settings = defaults(task, finetune=settings.get("finetune", False)) | settings
    return results.Evaluation(task, loaded, split_for(loaded), modalities, settings, **more)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "recognition"),
        ({"epochs": 10, "schedule": []}, "recognition_epochs10_schedule-none"),
        ({"schedule": [7, 9], "wd": 1e-5}, "recognition_schedule7-9_wd1e-05"),
        ({"finetune": True, "encoder_lr": 0.1}, "recognition_finetune_encoder-lr0.1"),
        ({"label_fraction": 0.005, "runs": 5}, "recognition_0.5pct_runs5"),
        ({"scale": SCALE, "tune": True}, "recognition_standardized_tuned"),
        ({"classes": "2-5", "labels_per_class": 3}, "recognition_3perclass_classes-2-5"),
        ({"splits": ["a", "b", "c"]}, "recognition_3splits-a-b-c"),
        ({"modalities": ("joint",), "late_fusion": True}, "recognition_joint_late_fusion"),
        ({"task": "retrieval", "knn_neighbours": [1, 20]}, "retrieval_k1-20"),
        ({"which": "random", "seed": 1}, "recognition_random_seed1"),
    ],
)
def test_whatever_is_not_as_by_default_is_in_the_name(run, settings, name):
    assert evaluation(run, **settings).name == name


def test_the_checkpoint_is_in_the_name_unless_it_is_the_final_one(run, data_root, tmp_path):
    final = checkpoint.newest(run)
    older = run / "checkpoint_0001.pt"
    older.write_bytes(final.read_bytes())
    other = write_run(tmp_path / "other", data_root) / final.name
    names = [evaluation(run, which=which).name for which in (final, older, other)]
    ends = ["", "_checkpoint_0001", f"_other-{final.stem}"]
    assert names == [f"recognition{end}" for end in ends]
    assert evaluation(older).name == "recognition_checkpoint_0001"


def test_a_name_stays_when_training_goes_on(data_root, tmp_path):
    run = write_run(tmp_path / "run", data_root)
    first = evaluation(run)
    (run / "checkpoint_0009.pt").write_bytes(checkpoint.newest(run).read_bytes())
    assert first.name == "recognition"


def test_a_name_stays_short(run):
    one, other = (evaluation(run, schedule=[*range(99), last]).name for last in (100, 101))
    assert one != other and max(len(one), len(other)) < 140


def test_a_result_carries_all_of_its_experiment(run):
    one = evaluation(run, lr=0.1, seed=2)
    path = results.write(one, {"top1": 50.0})
    found, saved = json.loads(path.read_text()), checkpoint.load(checkpoint.newest(run))
    assert found["pretraining"] == saved["settings"]
    assert found["pretraining_code"] == saved["code"] and found["code"] == checkpoint.code_facts()
    assert found["samples.csv sha256"] == one.data.store.fingerprint
    assert found["checkpoint"] == str(checkpoint.newest(run))
    assert (found["top1"], found["seed"], found["lr"]) == (50.0, 2, 0.1)
    assert found["seconds"] > 0 and found["title"] == "NTU RGB+D 60"
    assert found["official_clips"] == [40_091, 16_487]
    assert {*defaults("recognition")} <= found.keys()
    with pytest.raises(ValueError):
        results.write(one, {"top1": float("nan")})
    assert json.loads(path.read_text()) == found and not list(run.glob("*.part"))


def test_events_take_the_place_of_older_ones(tmp_path):
    (tmp_path / "kept.txt").write_text("")
    for value in (1.0, 2.0):
        with results.new_events(tmp_path) as writer:
            writer.add_scalar("a", value, 3)
    points = events(tmp_path).Scalars("a")
    assert [(point.step, point.value) for point in points] == [(3, 2.0)]
    assert (tmp_path / "kept.txt").exists()


# ---- the paper's figures stand beside the same evaluation of the same data only

TRAINED = {"method": "umurl", "pre_dataset": "ntu120", "protocol": "cross_setup"}
RESULT = {
    **{"task": "recognition", "encoder": "pretrained", "dataset": "ntu120", "late_fusion": False},
    **{"protocol": "cross_setup", "modalities": ["joint", "bone", "motion"], "neighbours": 1},
    **{"training_clips": 54468, "test_clips": 59477, "official_clips": [54468, 59477]},
    **{"pretraining": TRAINED, "pretraining_data": {}, "samples.csv sha256": "a"},
}


@pytest.mark.parametrize(
    ("change", "figure"),
    [
        ({}, 76.3),
        ({"modalities": ["joint"]}, 74.3),
        ({"late_fusion": True}, 77.2),
        ({"task": "retrieval"}, 62.2),
        ({"test_clips": 59_476}, None),
        ({"official_clips": None}, None),
        ({"encoder": "random"}, None),
        ({"finetune": True}, None),
        ({"label_fraction": 0.1}, None),
        ({"pretraining": TRAINED | {"method": "baseline"}}, None),
        ({"pretraining": TRAINED | {"pre_dataset": "ntu60"}}, None),
        ({"pretraining_data": {"samples.csv sha256": "b"}}, None),
        ({"task": "retrieval", "neighbours": 5}, None),
        ({"modalities": ["bone"]}, None),
    ],
)
def test_the_papers_figures_are_held_against_the_same_evaluation_only(change, figure):
    assert results.paper_figure(RESULT | change) == figure


def test_a_json_file_is_a_result_or_not_or_damaged(tmp_path):
    (path := tmp_path / "a.json").write_text('{"task": "retrieval"}')
    assert results.read(path) == {"task": "retrieval"}
    path.write_text("[]")
    assert results.read(path) is None
    path.write_text('{"task": ')
    with pytest.raises(UserError, match="JSON"):
        results.read(path)
