"""CSV files: round trip, nothing half-written, other files refused in one line."""

import csv
import re

import pytest

from tools.cli import UserError
from tools.formats import tables


def test_what_is_written_is_read_again(tmp_path):
    rows = [["a, b", '"', "1"], ["ü", "", "2"]]
    tables.write_csv(tmp_path / "t.csv", ["x", "y", "z"], iter(rows))
    assert tables.read_csv(tmp_path / "t.csv") == (["x", "y", "z"], rows)
    assert (tmp_path / "t.csv").read_bytes().startswith(b"x,y,z\r\n")


NAMES = ["=1+2", "+a", "-b", "@c", "'d", "'=e", "\ttab", "-", "a=b", "-0.25", "+3", "1e-05", "-1e5"]


def test_no_cell_is_a_formula_and_all_are_read_as_they_were(tmp_path):
    tables.write_csv(tmp_path / "t.csv", NAMES, [NAMES, [-1.5] * len(NAMES)])
    with (tmp_path / "t.csv").open(newline="") as file:
        for cell in (cell for row in csv.reader(file) for cell in row):
            number = re.fullmatch(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?", cell)
            assert number or cell[0] not in "=+-@\t\r", cell
    expected = (NAMES, [NAMES, ["-1.5"] * len(NAMES)])
    assert tables.read_csv(tmp_path / "t.csv") == expected


def test_files_of_older_code_are_read_as_they_are(tmp_path):
    (tmp_path / "t.csv").write_text("class,=a\n'tis,-0.5\n")
    assert tables.read_csv(tmp_path / "t.csv") == (["class", "=a"], [["'tis", "-0.5"]])


def test_no_cell_ends_a_markdown_table_or_becomes_html():
    heading, rule, row = tables.markdown(["a", "b"], [["x|y", "<b>`&\n|"]])
    assert (heading, rule) == ("| a | b |", "| --- | --- |")
    assert "<" not in row and len(re.split(r"(?<!\\)\|", row)) == 4 and "\n" not in row


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
