"""Fixtures of several test files, and marks: numeric, slow, gpu."""

import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from tests.tiny_store import write_store

# A background job of a shell ignores Ctrl-C, and so do the processes that it starts. Tests of
# Ctrl-C need the usual behavior.
signal.signal(signal.SIGINT, signal.default_int_handler)


# The tests whose figures may depend on the processor and on the number of threads: `-m numeric`.
NUMERIC = (
    *("net", "literal", "feeder/test_augment.py", "feeder/test_batches.py"),
    *("data_gen/test_clip.py", "tools/evaluation", "tools/test_tsne.py"),
    *("tools/training/test_monitor.py", "test_pretrain.py", "test_recognition.py"),
    "test_retrieval.py",
)


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by -m
def pytest_collection_modifyitems(config, items):
    """Mark the numeric tests. Skip slow and GPU tests unless `-m` names their mark."""
    chosen, here = config.getoption("-m"), Path(__file__).parent
    numeric = [here / name for name in NUMERIC]
    for item in items:
        if any(item.path.is_relative_to(path) for path in numeric):
            item.add_marker("numeric")
        for mark in ("slow", "gpu"):
            if item.get_closest_marker(mark) and mark not in chosen:
                item.add_marker(pytest.mark.skip(reason=f"run it with `pytest -m {mark}`"))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def data_root(tmp_path_factory) -> Path:
    """A --data-root with a tiny ntu60 and ntu120 (48 clips, 4 actions each); do not write to it."""
    root = tmp_path_factory.mktemp("data")
    write_store(root, "ntu60")
    return write_store(root, "ntu120", seed=1)


@pytest.fixture
def house(tmp_path) -> Path:
    """A copy of the repository, without data and runs, which the test may change."""
    skip = shutil.ignore_patterns(".*", "data", "checkpoints", "figure", "golden", "docs")
    return shutil.copytree(Path(__file__).parents[1], tmp_path / "house", ignore=skip)


@pytest.fixture
def run(data_root, tmp_path) -> Path:
    """The folder of a tiny run, as if it was pre-trained on `data_root`; the test may change it."""
    from tests.tiny_run import write_run  # imports torch, which many tests do not need

    return write_run(tmp_path / "run", data_root)
