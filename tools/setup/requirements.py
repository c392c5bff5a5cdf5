"""Does this Python have what a file of requirements lists? Exit code 0 if so; else says what not.

    python tools/setup/requirements.py requirements.txt

Standard library only, since it runs before anything is installed.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

MODULES = {"scikit-learn": "sklearn"}  # where the module's name is not the package's


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: 2.4.1+cpu -> (2, 4, 1)."""
    return tuple(int(n) for n in re.match(r"\d+(?:\.\d+)*", version)[0].split("."))


def problem(requirement: str) -> str | None:
    """What is amiss with one requirement, such as `ruff>=0.17,<0.18`."""
    name, limits = re.fullmatch(r"([\w-]+)(.*)", requirement).groups()
    try:
        if name in ("torch", "torchvision"):
            import_module(name)  # only importing shows whether the two are a pair
        elif find_spec(MODULES.get(name, name)) is None:
            return f"{name} is not installed"
        version = numbers(metadata.version(name))
    except Exception as error:
        return f"{name}: {error}"
    for limit in limits.split(","):
        low, high = limit.startswith(">="), limit.startswith("<")
        bound = numbers(limit.lstrip(">=<"))
        if (low and version < bound) or (high and version >= bound):
            return f"{name} {'.'.join(map(str, version))} is not {limit}"
    return None


def requirements(file: Path) -> list[str]:
    """The lines of a file of requirements, and those of the files that it names by `-r`."""
    found = []
    for line in file.read_text().splitlines():
        other = line.removeprefix("-r ")
        found += requirements(file.parent / other) if other != line else [line]
    return found


def main() -> None:
    if sys.version_info < (3, 10):  # noqa: UP036 - it is asked of any Python
        sys.exit(f"Python {sys.version.split()[0]} is older than 3.10")
    for requirement in requirements(Path(sys.argv[1])):
        if trouble := problem(requirement):
            sys.exit(trouble)


if __name__ == "__main__":
    main()
