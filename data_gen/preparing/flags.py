"""The parser of flags that all commands use, and types for the values of flags."""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

GREATEST = 1e30  # greatest value of a flag that takes fractions; ten times as much is a float32
_NUMBER = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")


class Help(argparse.HelpFormatter):
    """Help that adds the default to a flag, unless there is none or the help names it already."""

    def _get_help_string(self, action: argparse.Action) -> str:
        help_text, default = action.help or "", action.default
        nothing = default is None or isinstance(default, bool) or default == argparse.SUPPRESS
        values = default if isinstance(default, (list, tuple)) else [default]
        if nothing or not values or "default" in help_text:
            return help_text
        shown = " ".join(map(str, values)).replace("%", "%%")
        return f"{help_text} (default: {shown})"


class Parser(argparse.ArgumentParser):
    """An argument parser that takes no abbreviated flags and reports an error in one line.

    A flag without a type, or with the type Path, refuses an empty text.
    """

    def __init__(self, description: str):
        settings = {"prog": program(), "description": description, "formatter_class": Help}
        super().__init__(allow_abbrev=False, **settings)
        self.register("type", None, text)
        self.register("type", Path, path)

    def parse_known_args(self, args: Sequence[str] | None = None, namespace=None):
        """Parse as argparse does, but refuse `--flag=--`, which some versions of it crash on."""
        args = sys.argv[1:] if args is None else list(args)
        for word in args:
            if word.startswith("-") and word.endswith("=--"):
                self.error(f"argument {word.removesuffix('=--')}: '--' is not a value")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with code 2."""
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


def program() -> str:
    """The program as the user started it: `python -m tools.report`, or the name of the file."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None and spec.origin == sys.argv[0]:
        return f"python -m {spec.name.removesuffix('.__main__')}"
    return Path(sys.argv[0]).name


def text(value: str) -> str:
    """An argparse type: a text that is not empty."""
    if not value.strip():
        raise argparse.ArgumentTypeError("the value is empty")
    return value


def path(value: str) -> Path:
    """An argparse type: the path of a file or folder, which is not empty."""
    return Path(text(value))


def whole_number(least: int, most: int = 2**32 - 1) -> Callable[[str], int]:
    """An argparse type: integers from `least` to `most`, written with the digits 0 to 9 only."""

    def parse(value: str) -> int:
        # Python refuses to convert thousands of digits.
        digits = value.isascii() and value.isdigit() and len(value) < 20
        if not (digits and least <= int(value) <= most):
            raise argparse.ArgumentTypeError(
                f"{value[:20]!r} is not a whole number from {least} to {most}"
            )
        return int(value)

    return parse


def not_negative(value: str) -> float:
    """An argparse type: numbers from 0 to 1e30, such as 0.5 or 5e-1."""
    if not (_NUMBER.fullmatch(value) and float(value) <= GREATEST):
        raise argparse.ArgumentTypeError(f"{value[:20]!r} is not a number from 0 to {GREATEST:g}")
    return float(value)


def positive(value: str) -> float:
    """An argparse type: numbers above 0, up to 1e30."""
    if not (number := not_negative(value)):
        raise argparse.ArgumentTypeError(f"{value[:20]!r} is not a number above 0")
    return number
