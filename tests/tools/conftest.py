"""Fixtures of the tests of tools."""

import pytest

from tools import convert


@pytest.fixture
def converted(capsys):
    """Call `tools.convert`: converted(flags ...) -> what it prints."""

    def call(*flags):
        convert.main([*map(str, flags)])
        return capsys.readouterr().out

    return call
