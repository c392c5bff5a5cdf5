"""What the commands share: flags that are not guessed, and errors that are one line."""

import argparse
import os
import sys
from collections.abc import Callable

from feeder.store import StoreError


class UserError(Exception):
    """Something that the user can mend; its text is one line that says how."""


class Parser(argparse.ArgumentParser):
    """Argument parser that takes no abbreviations and complains in one line."""

    def __init__(self, description: str):
        super().__init__(
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )

    def error(self, message: str):
        """Print one line and exit with 2."""
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


def whole_number(least: int) -> Callable[[str], int]:
    """An argparse type: integers from `least` on."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and int(text) >= least):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
        return int(text)

    return parse


def not_negative(text: str) -> float:
    """An argparse type: finite numbers from 0 on."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 on")
    return value


def positive(text: str) -> float:
    """An argparse type: finite numbers above 0."""
    if not (value := not_negative(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def say(line: str) -> None:
    """Print on the main process only, at once."""
    if os.environ.get("RANK", "0") == "0":
        print(line, flush=True)


def run(main: Callable[[], None]) -> None:
    """Run a command; what a user can cause ends it with one line and exit code 1."""
    try:
        main()
    except (UserError, StoreError) as error:
        # Every rank finds the same fault; one says it.
        if os.environ.get("RANK", "0") == "0":
            print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
