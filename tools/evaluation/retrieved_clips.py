"""The table beside a result of retrieval: which training clips were found for each test clip."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from tools.cli import UserError
from tools.formats.tables import read_csv, write_csv

SHOWN = 5  # neighbors of each query that the table has


class Retrieved(NamedTuple):
    """Queries, and the clips that were found for them, nearest first.

    queries: n names of clips.
    found: k names of clips for each query.
    similarity: (n, k) cosine similarities.
    """

    queries: list[str]
    found: list[list[str]]
    similarity: np.ndarray


def table(
    names: list[str], queries: np.ndarray, found: np.ndarray, similarity: np.ndarray
) -> Retrieved:
    """Make the table, with SHOWN neighbors at most.

    names: of all clips of a store.
    queries: (n,) rows of the store.
    found: (n, k) rows of the store.
    similarity: (n, k) cosine similarities.
    """
    shown = [[names[row] for row in rows[:SHOWN]] for rows in found.tolist()]
    return Retrieved([names[row] for row in queries.tolist()], shown, similarity[:, :SHOWN])


def write(path: Path, retrieved: Retrieved) -> None:
    """Write a CSV file; a line has the query, then the name and similarity of each neighbor."""
    ranks = range(1, 1 + retrieved.similarity.shape[1])
    header = ["query", *(f"{what}_{rank}" for rank in ranks for what in ("found", "similarity"))]
    rows = (
        [query, *(v for f, s in zip(found, values, strict=True) for v in (f, f"{s:.6f}"))]
        for query, found, values in zip(*retrieved, strict=True)
    )
    write_csv(path, header, rows)


def read(path: Path) -> Retrieved:
    """Read the file that `write` wrote.

    Raises UserError, which names the line, for any other file.
    """
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
