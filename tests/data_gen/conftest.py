"""A fixture that runs data_gen/ntu_gendata.py in the process of the tests."""

import pytest

from data_gen import ntu_gendata


@pytest.fixture
def prepare(tmp_path, capsys):
    """Run the command: prepare(flags ...) -> its standard output."""

    def prepare(*flags, out_folder=tmp_path / "out", workers=1):
        where = ("--out_folder", out_folder, "--workers", workers)
        ntu_gendata.main([*map(str, (*flags, *where))])
        return capsys.readouterr().out

    return prepare
