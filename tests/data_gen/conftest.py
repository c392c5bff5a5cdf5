"""A fixture that runs data_gen/ntu_gendata.py in the process of the tests."""

import pytest

from data_gen import ntu_gendata


@pytest.fixture
def prepare(tmp_path, capsys):
    """Run the command: prepare(flags ...) -> exit code, standard output, standard error."""

    def prepare(*args, out_folder=tmp_path / "out"):
        code = ntu_gendata.main([*map(str, args), "--out_folder", str(out_folder)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return prepare
