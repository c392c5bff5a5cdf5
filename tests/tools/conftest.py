"""Fixtures of the tests of tools."""

from pathlib import Path

import numpy as np
import pytest

import action_classification
from data_gen import own_gendata, synthetic
from feeder.store import Store, open_store
from tests.runs import succeed, train


@pytest.fixture
def store(data_root) -> Store:
    """The ntu60 of `data_root`."""
    return open_store(data_root, "ntu60")


@pytest.fixture(scope="session")
def people(tmp_path_factory) -> Path:
    """A folder with recordings of COCO's joints in `raw`, their store in `data`, and a `run` with
    a linear layer; do not write to it."""
    folder = tmp_path_factory.mktemp("people")
    raw, run = folder / "raw", folder / "run"
    size = ["--subjects", "3", "--actions", "3", "--setups", "2", "--workers", "1"]
    synthetic.main([*size, "--skeleton", "coco_17", "--out_folder", str(raw)])
    flags = ["--name", "people", "--clips", str(raw / "clips.csv"), "--skeleton", "coco_17"]
    out = ["--bodies", "1", "--workers", "1", "--out_folder", str(folder / "data")]
    own_gendata.main([*flags, *out])
    train(folder / "data", run, "--pre-dataset", "people", "--epochs", 1)
    flags = ("--checkpoint-path", run, "--lr", 0.5, "--epochs", 40, "--schedule", 30)
    succeed(action_classification.main, *flags)
    return folder


@pytest.fixture(scope="session")
def recordings(people) -> list[Path]:
    """The files of two training clips of `people`, of the first and of the last class."""
    store = open_store(people / "data", "people")
    train, _ = store.split("cross_subject")
    rows = [train[store.label[train] == k][0] for k in (0, 2)]
    return [people / "raw" / f"{store.names[row]}.npy" for row in rows]


@pytest.fixture
def day(recordings, tmp_path) -> Path:
    """A long recording: an action, nobody for four seconds, another action."""
    one, two = (np.load(file)[:, :1] for file in recordings)
    np.save(tmp_path / "day.npy", np.concatenate([one, np.zeros((120, 1, 17, 3)), two]))
    return tmp_path / "day.npy"
