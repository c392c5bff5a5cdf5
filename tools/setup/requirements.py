"""Check whether this Python has what a file of requirements lists.

    python tools/setup/requirements.py requirements.txt

The exit code is 0 if all is there; otherwise a line says what is missing. Only the standard library
is used, since nothing may be installed yet.
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
    """What is wrong with one requirement, such as `ruff>=0.17,<0.18`; None where nothing is."""
    name, limits = re.fullmatch(r"([\w-]+)(.*)", requirement).groups()
    try:
        if name in ("torch", "torchvision"):
            import_module(name)  # only an import shows whether torch and torchvision fit together
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
    """The lines of a file of requirements, and of the files that it includes by `-r`."""
    found = []
    for line in file.read_text().splitlines():
        other = line.removeprefix("-r ")
        found += requirements(file.parent / other) if other != line else [line]
    return found


def main() -> None:
    if sys.version_info < (3, 10):  # noqa: UP036 (any Python may run this file)
        sys.exit(f"Python {sys.version.split()[0]} is older than 3.10")
    for requirement in requirements(Path(sys.argv[1])):
        if trouble := problem(requirement):
            sys.exit(trouble)


if __name__ == "__main__":
    main()
