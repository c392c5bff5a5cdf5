"""The preparing command, run in the tests' own process."""

import pytest

from data_gen import ntu_gendata


@pytest.fixture
def prepare(tmp_path, capsys):
    """Runs the command in this process; returns exit code, output and what stands for errors."""

    def prepare(*args, out_folder=tmp_path / "out"):
        code = ntu_gendata.main([*map(str, args), "--out_folder", str(out_folder)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return prepare
