"""Which training clips retrieval found for each test clip, as a table beside its result."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from tools.cli import UserError
from tools.formats.tables import read_csv, write_csv

SHOWN = 5  # neighbors of each query that are written


class Retrieved(NamedTuple):
    """Queries and what was found for them, nearest first.

    queries: n names of clips; found: their k neighbors' names each; similarity: (n, k).
    """

    queries: list[str]
    found: list[list[str]]
    similarity: np.ndarray


def table(
    names: list[str], queries: np.ndarray, found: np.ndarray, similarity: np.ndarray
) -> Retrieved:
    """The table of what was found, SHOWN neighbors at most.

    names: of all clips of a store; queries: (n,), found: (n, k), rows of it; similarity: (n, k).
    """
    shown = [[names[row] for row in rows[:SHOWN]] for rows in found.tolist()]
    return Retrieved([names[row] for row in queries.tolist()], shown, similarity[:, :SHOWN])


def write(path: Path, retrieved: Retrieved) -> None:
    """Write a CSV file, one line a query: its name, then each neighbor and its similarity."""
    ranks = range(1, 1 + retrieved.similarity.shape[1])
    header = ["query", *(f"{what}_{rank}" for rank in ranks for what in ("found", "similarity"))]
    rows = (
        [query, *(v for f, s in zip(found, values, strict=True) for v in (f, f"{s:.6f}"))]
        for query, found, values in zip(*retrieved, strict=True)
    )
    write_csv(path, header, rows)


def read(path: Path) -> Retrieved:
    """Read what `write` wrote. Raises UserError naming the line where it is no such file."""
    header, rows = read_csv(path)
    if header[:1] != ["query"] or len(header) < 3 or len(header) % 2 == 0:
        raise UserError(f"{path}, line 1: not a table of retrieved clips")
    similarity = np.empty((len(rows), len(header) // 2))
    for line, row in enumerate(rows, 2):
        try:
            similarity[line - 2] = [float(value) for value in row[2::2]]
            if len(row) != len(header) or not np.isfinite(similarity[line - 2]).all():
                raise ValueError
        except ValueError:
            raise UserError(f"{path}, line {line}: not a query and its neighbors") from None
    return Retrieved([row[0] for row in rows], [row[1::2] for row in rows], similarity)
