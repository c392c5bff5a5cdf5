"""A store of one's own recordings of 17 joints, and a run with a linear layer on it."""

import csv
from pathlib import Path

import numpy as np

import action_classification
import pretrain
from data_gen import own_gendata, synthetic
from feeder.store import open_store
from tests.runs import call, pretraining


def write_people(folder: Path) -> Path:
    """Write recordings of COCO's joints in `raw`, their store in `data`, and a `run`."""
    raw, run = folder / "raw", folder / "run"
    size = ["--subjects", "3", "--actions", "3", "--setups", "2", "--workers", "1"]
    synthetic.main([*size, "--skeleton", "coco_17", "--out_folder", str(raw)])
    flags = ["--name", "people", "--clips", str(raw / "clips.csv"), "--skeleton", "coco_17"]
    out = ["--bodies", "1", "--workers", "1", "--out_folder", str(folder / "data")]
    own_gendata.main([*flags, *out])
    flags = pretraining(folder / "data", run, "--pre-dataset", "people", "--epochs", 1)
    assert call(pretrain.main, *flags).code == 0
    flags = ("--checkpoint-path", run, "--lr", 0.5, "--epochs", 40, "--schedule", 30)
    assert call(action_classification.main, *flags).code == 0
    return folder


def training_rows(people: Path) -> list[int]:
    """A training clip of the first and one of the last class."""
    store = open_store(people / "data", "people")
    train, _ = store.split("cross_subject")
    return [train[store.label[train] == k][0] for k in (0, 2)]


def training_file(people: Path) -> Path:
    """The recording of a training clip."""
    store = open_store(people / "data", "people")
    return people / "raw" / f"{store.names[training_rows(people)[0]]}.npy"


def write_day(people: Path, path: Path) -> Path:
    """Write a long recording: an action, nobody for four seconds, another action."""
    store = open_store(people / "data", "people")
    one, two = (
        np.load(people / "raw" / f"{store.names[row]}.npy")[:, :1] for row in training_rows(people)
    )
    np.save(path, np.concatenate([one, np.zeros((120, 1, 17, 3)), two]))
    return path


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
