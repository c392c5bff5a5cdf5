"""CSV files: round trip, nothing half-written, other files refused in one line."""

import pytest

from tools.cli import UserError
from tools.formats import tables


def test_what_is_written_is_read_again(tmp_path):
    rows = [["a, b", '"', "1"], ["ü", "", "2"]]
    tables.write_csv(tmp_path / "t.csv", ["x", "y", "z"], iter(rows))
    assert tables.read_csv(tmp_path / "t.csv") == (["x", "y", "z"], rows)
    assert (tmp_path / "t.csv").read_bytes().startswith(b"x,y,z\r\n")


def test_nothing_is_left_of_a_table_that_cannot_be_finished(tmp_path):
    def rows():
        yield ["1"]
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        tables.write_csv(tmp_path / "t.csv", ["x"], rows())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"\xff\xfe", b'a\n"b', b"a\n" + b"x" * 200_000])
def test_another_file_is_refused(content, tmp_path):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"t\.csv is not a CSV file"):
        tables.read_csv(tmp_path / "t.csv")


def test_an_empty_file_has_no_header(tmp_path):
    (tmp_path / "t.csv").touch()
    assert tables.read_csv(tmp_path / "t.csv") == ([], [])
