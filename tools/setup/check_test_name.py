"""Says what a TEST_NAME of script_pretrain.sh picks, unless it is one that picks a protocol.

    python tools/setup/check_test_name.py TEST_NAME KNOWN...

The last of the known names picks what all unknown ones do. Exit code 1 for an unknown name that is
nearly a known one. Standard library only, so that it is quick.
"""

from __future__ import annotations

import sys
from difflib import get_close_matches


def meant(name: str, known: list[str]) -> str | None:
    """The known name that a name is nearly or has in it, where it would not pick the same."""
    plain = name.lower().replace("-", "_")
    inside = [other for other in known if other in plain]
    if inside:
        return None if inside == known[-1:] else inside[0]
    return next(iter(get_close_matches(plain, known, 1, 0.8)), None)


def main() -> None:
    name, *known = sys.argv[1:]
    if name in known:
        return
    if taken_for := meant(name, known):
        sys.exit(
            f"error: the TEST_NAME {name} would train as {known[-1]} does; take {taken_for}, or "
            f"name the data, too: {name} --pre-dataset DATASET --protocol PROTOCOL"
        )
    print(f"{name} is the name of no protocol, so it takes NTU-120 x-sub, as {known[-1]}")


if __name__ == "__main__":
    main()
