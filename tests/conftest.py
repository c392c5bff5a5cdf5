"""Fixtures that several test files share."""

import signal
from pathlib import Path

import pytest

from tests.tiny_store import write_store

# A shell's background jobs ignore Ctrl-C, and so would all that the tests start from there.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config, items):
    """Slow and GPU tests run when they are asked for, and say so where they are not."""
    asked = config.getoption("-m")
    for item in items:
        for mark in ("slow", "gpu"):
            if item.get_closest_marker(mark) and mark not in asked:
                item.add_marker(pytest.mark.skip(reason=f"run it with `pytest -m {mark}`"))


@pytest.fixture(scope="session")
def data_root(tmp_path_factory) -> Path:
    """A --data-root with a tiny ntu60 and ntu120 (48 clips, 4 actions); nobody may write to it.

    For a store of one's own, other sizes or one to damage: tests.tiny_store.write_store(tmp_path).
    """
    root = tmp_path_factory.mktemp("data")
    write_store(root, "ntu60")
    return write_store(root, "ntu120", seed=1)
