"""Fixtures of several test files, and marks: which tests are numeric, slow or need a GPU."""

import signal
from pathlib import Path

import pytest

from tests.tiny_store import write_store

# A background job of a shell ignores Ctrl-C, and so do the processes that it starts. Tests of
# Ctrl-C need the usual behavior.
signal.signal(signal.SIGINT, signal.default_int_handler)


# The tests whose figures may depend on the processor and on the number of threads: `-m numeric`.
NUMERIC = (
    *("net", "literal", "feeder/test_augment.py", "feeder/test_batches.py"),
    *("data_gen/test_clip.py", "tools/evaluation", "tools/test_tsne.py"),
    *("tools/training/test_distributed.py", "tools/training/test_monitor.py"),
    *("test_pretrain.py", "test_recognition.py", "test_retrieval.py"),
)
MINUTES = {"": 8, "numeric": 1}  # on two cores that do nothing else, roughly


def pytest_sessionstart(session):
    """Print how long the tests take, if all tests or all numeric tests are to run."""
    config = session.config
    minutes = MINUTES.get(config.getoption("-m"))
    everything = config.args_source == config.ArgsSource.TESTPATHS
    if everything and minutes and not config.getoption("-k"):
        config.get_terminal_writer().line(f"these tests take about {minutes} min on two cores")


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by -m
def pytest_collection_modifyitems(config, items):
    """Mark the numeric tests. Skip slow and GPU tests unless `-m` names their mark."""
    asked, here = config.getoption("-m"), Path(__file__).parent
    numeric = [here / name for name in NUMERIC]
    for item in items:
        if any(item.path.is_relative_to(path) for path in numeric):
            item.add_marker("numeric")
        for mark in ("slow", "gpu"):
            if item.get_closest_marker(mark) and mark not in asked:
                item.add_marker(pytest.mark.skip(reason=f"run it with `pytest -m {mark}`"))


def pytest_terminal_summary(terminalreporter, config):
    """Print what `pytest -m gpu` found as one table."""
    if config.getoption("-m") != "gpu":
        return
    rows = [("what", "measured", "allowed", "result")]
    for result, name in (("passed", "ok"), ("failed", "FAILED"), ("error", "ERROR")):
        for report in terminalreporter.stats.get(result, ()):
            compared = [value for key, value in report.user_properties if key == "compared"]
            for what, measured, allowed in compared:
                met = "ok" if measured <= allowed else "FAILED"
                rows.append((what, f"{measured:.3g}", f"{allowed:.3g}", met))
            if not compared or (name != "ok" and all(m <= a for _, m, a in compared)):
                rows.append((report.nodeid, "-", "-", name))
    for report in terminalreporter.stats.get("skipped", ()):
        reason = str(report.longrepr[-1]).removeprefix("Skipped: ")
        rows.append((report.nodeid, "-", "-", f"skipped: {reason}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        terminalreporter.write_line("  ".join(cells).rstrip())


@pytest.fixture(scope="session")
def data_root(tmp_path_factory) -> Path:
    """A --data-root with a tiny ntu60 and ntu120 (48 clips, 4 actions each); do not write to it.

    tests.tiny_store.write_store(tmp_path) makes a store of another size, or one to damage.
    """
    root = tmp_path_factory.mktemp("data")
    write_store(root, "ntu60")
    return write_store(root, "ntu120", seed=1)


@pytest.fixture
def run(data_root, tmp_path) -> Path:
    """The folder of a tiny run, as if it was pre-trained on `data_root`; the test may change it."""
    from tests.tiny_run import write_run  # imports torch, which many tests do not need

    return write_run(tmp_path / "run", data_root)
