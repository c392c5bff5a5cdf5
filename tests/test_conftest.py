"""The test run says how long it takes, and its list of numeric tests names what is there."""

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import conftest


class Config:
    """What pytest tells a session of the flags that it was given."""

    ArgsSource = pytest.Config.ArgsSource

    def __init__(self, source: pytest.Config.ArgsSource, **options: str):
        self.config, self.args_source, self.options = self, source, options
        self.file = io.StringIO()

    def getoption(self, name: str) -> str:
        return self.options.get(name.strip("-"), "")

    def get_terminal_writer(self) -> "Config":
        return self

    def line(self, text: str) -> None:
        self.file.write(text)


@pytest.mark.parametrize("options", [{}, {"m": "numeric"}])
def test_a_whole_run_tells_its_duration_at_its_start(options):
    config = Config(pytest.Config.ArgsSource.TESTPATHS, **options)
    conftest.pytest_sessionstart(config)
    minutes = conftest.MINUTES[options.get("m", "")]
    assert f" {minutes} min" in config.file.getvalue()


def test_a_choice_of_tests_tells_none():
    whole, named = pytest.Config.ArgsSource.TESTPATHS, pytest.Config.ArgsSource.ARGS
    for config in (Config(named), Config(whole, k="some"), Config(whole, m="slow")):
        conftest.pytest_sessionstart(config)
        assert not config.file.getvalue()


def test_numeric_tests_are_there():
    assert all((Path(conftest.__file__).parent / name).exists() for name in conftest.NUMERIC)


class Terminal:
    """Reports that pytest hands over at the end of a run, and what is printed of them."""

    def __init__(self, **stats: list[SimpleNamespace]):
        self.stats, self.lines = stats, []

    def write_line(self, line: str) -> None:
        self.lines.append(line)


def report(name: str, *compared: list, longrepr: tuple = ()) -> SimpleNamespace:
    properties = [("compared", values) for values in compared]
    return SimpleNamespace(nodeid=name, user_properties=properties, longrepr=longrepr)


def test_what_a_gpu_gave_is_one_table():
    config = Config(pytest.Config.ArgsSource.TESTPATHS, m="gpu")
    terminal = Terminal(
        passed=[report("a", ["loss", 0.25, 0.5], ["gradient", 0.125, 1.0]), report("b")],
        failed=[report("c", ["memory", 3.0, 2.0]), report("d", ["views", 0.0, 0.0])],
        skipped=[report("e", longrepr=("file", 1, "Skipped: needs 2 GPUs"))],
    )
    conftest.pytest_terminal_summary(terminal, config)
    assert [line.split() for line in terminal.lines[1:]] == [
        ["loss", "0.25", "0.5", "ok"],
        ["gradient", "0.125", "1", "ok"],
        ["b", "-", "-", "ok"],
        ["memory", "3", "2", "FAILED"],
        ["views", "0", "0", "ok"],
        ["d", "-", "-", "FAILED"],  # by something that was not compared
        ["e", "-", "-", "skipped:", "needs", "2", "GPUs"],
    ]
    other = Terminal(passed=[report("a")])
    conftest.pytest_terminal_summary(other, Config(pytest.Config.ArgsSource.TESTPATHS))
    assert not other.lines
