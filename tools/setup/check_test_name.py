"""Say which data an unknown TEST_NAME of script_pretrain.sh trains on; refuse a misspelled name.

    python tools/setup/check_test_name.py TEST_NAME KNOWN...

A name that is in KNOWN prints nothing. Any other name trains as the last one of KNOWN does. The
exit code is 1 for a name that resembles a known one. Only the standard library is used, since that
is quick.
"""

from __future__ import annotations

import sys
from difflib import get_close_matches


def meant(name: str, known: list[str]) -> str | None:
    """The known name that a name resembles or contains, if it trains on other data."""
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
