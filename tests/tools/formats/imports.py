"""What tests do with `tools.convert import`: call it, and compare the store with the raw files."""

from pathlib import Path

import numpy as np

from feeder.store import Store, open_store
from tools import convert


def imported(source: Path, target: Path, *flags: object) -> Store:
    """What the command makes of a file."""
    convert.main(["import", str(source), str(target), *map(str, flags)])
    return open_store(target.parent, target.name)


def names_file(raw: Path, path: Path, *more: str) -> Path:
    """The list of names that goes with CTR-GCN's files; more: of clips that are not in the file."""
    names = sorted([*(path.stem for path in raw.glob("*.skeleton")), *more])
    path.write_text("\n".join(names) + "\n")
    return path


def assert_same(store: Store, expected: dict[str, np.ndarray]) -> None:
    assert store.names == sorted(expected)
    for row, name in enumerate(store.names):
        assert store.action[row] == int(name[17:20]) and store.subject[row] == int(name[9:12])
        np.testing.assert_allclose(store.clip(row), expected[name], atol=2e-6)
