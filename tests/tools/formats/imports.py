"""What tests do with `tools.convert import`: call it, and compare the store with the raw files."""

from pathlib import Path

import numpy as np

from feeder.store import Store, open_store
from tools import convert


def imported(source: Path, target: Path, *flags: object) -> Store:
    """Import a file by the command and open the store."""
    convert.main(["import", str(source), str(target), *map(str, flags)])
    return open_store(target.parent, target.name)


def names_file(raw: Path, path: Path, *more: str) -> Path:
    """Write the list of names that belongs to a file of CTR-GCN.

    more: names of clips that are not in the file
    """
    names = sorted([*(path.stem for path in raw.glob("*.skeleton")), *more])
    path.write_text("\n".join(names) + "\n")
    return path


def assert_same(store: Store, expected: dict[str, np.ndarray]) -> None:
    """Assert that a store holds the expected clips {name: clip}."""
    assert store.names == sorted(expected)
    for row, name in enumerate(store.names):
        assert store.action[row] == int(name[17:20]) and store.subject[row] == int(name[9:12])
        np.testing.assert_allclose(store.clip(row), expected[name], atol=2e-6)
