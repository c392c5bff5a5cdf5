"""Call `tools.convert`, so that its errors are raised."""

from pathlib import Path

from feeder.store import Store, open_store
from tools import convert


def converted(*flags: object) -> None:
    convert.main([*map(str, flags)])


def imported(source: Path, target: Path, *flags: object) -> Store:
    """Import, and open the store."""
    converted("import", source, target, *flags)
    return open_store(target.parent, target.name)
