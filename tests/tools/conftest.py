"""Fixtures of the tests of tools."""

import pytest

from tests.tools.own_recordings import write_people
from tools import convert


@pytest.fixture
def converted(capsys):
    """Call `tools.convert`: converted(flags ...) -> what it prints."""

    def call(*flags):
        convert.main([*map(str, flags)])
        return capsys.readouterr().out

    return call


@pytest.fixture(scope="session")
def people(tmp_path_factory):
    """The folder that `own_recordings.write_people` writes; do not write to it."""
    return write_people(tmp_path_factory.mktemp("people"))
