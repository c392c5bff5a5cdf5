"""The test run says how long it takes, and its list of numeric tests names what is there."""

import io
from pathlib import Path

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
