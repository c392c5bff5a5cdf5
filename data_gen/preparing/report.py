"""Moved to data_gen.gendata; progress is tqdm."""

import sys
from collections.abc import Iterable, Iterator

from tqdm import tqdm

from data_gen.gendata import split_line

__all__ = ["progress", "split_line", "warn"]


def warn(text: str) -> None:
    """Print one line to standard error."""
    print(f"warning: {text}", file=sys.stderr)


def progress(results: Iterable, total: int, unit: str = "clip") -> Iterator:
    """Yield results and show a bar on a terminal."""
    return tqdm(results, total=total, unit=unit, disable=None)
