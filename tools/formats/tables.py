"""Tables: CSV files, written whole or not at all and read without trusting them, and Markdown."""

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from data_gen.preparing.files import whole_file
from tools.cli import UserError

# A spreadsheet takes a cell that begins with one of these for a formula, unless it is a number.
_FORMULA = tuple("=+-@\t\r'")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?", re.ASCII)
_MARKDOWN = {"\\": "\\\\", "|": "\\|", "<": "&lt;", ">": "&gt;", "`": "\\`", "\n": " ", "\r": " "}


def write_csv(path: Path, header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table, whole or not at all.

    A text that a spreadsheet would run as a formula gets an apostrophe before it; `read_csv`
    removes the apostrophe.
    """
    with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow([_quoted(cell) for cell in header])
        table.writerows([_quoted(cell) for cell in row] for row in rows)


def read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a table; both are empty for an empty file.

    Raises UserError where the file is no CSV file.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = [[_unquoted(cell) for cell in row] for row in csv.reader(file, strict=True)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a CSV file ({error}); make it again") from None
    header, *rows = lines or [[]]
    return header, rows


def markdown(header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> list[str]:
    """The lines of a Markdown table. No text in a cell can end the cell or become HTML."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(map(_markdown_cell, line)) + " |" for line in lines]


def _quoted(cell: Any) -> Any:
    formula = isinstance(cell, str) and cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if formula else cell


def _unquoted(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(_FORMULA) else cell


def _markdown_cell(cell: Any) -> str:
    return "".join(_MARKDOWN.get(character, character) for character in str(cell))
