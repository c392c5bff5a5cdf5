"""CSV files, written whole or not at all, and read without trusting them."""

import csv
from collections.abc import Iterable
from pathlib import Path

from data_gen.preparing.files import whole_file
from tools.cli import UserError


def write_csv(path: Path, header: list[str], rows: Iterable[list]) -> None:
    """Write a table; nothing is left of it where that fails."""
    with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(header)
        table.writerows(rows)


def read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a table; of an empty file, nothing.

    Raises UserError, one line, where it is no CSV file.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file, strict=True)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a CSV file ({error}); make it again") from None
    return header, rows
