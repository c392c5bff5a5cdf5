"""Tables as CSV files, written atomically, and as Markdown."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from common import atomic


def write_csv(path: Path, header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table."""
    with atomic(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a table."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    return header, rows


def markdown(header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> list[str]:
    """The lines of a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(str(cell).replace('|', '&#124;') for cell in row)} |" for row in lines]
