"""What the commands share: flags that are not guessed, and errors that are one line."""

import argparse
import os
import sys
import threading
from collections.abc import Callable

import torch

from data_gen.preparing import flags
from feeder.store import StoreError


class UserError(Exception):
    """Something that the user can mend; its text is one line that says how."""


class Parser(flags.Parser):
    """The parser of flags, whose help tells the defaults."""

    def __init__(self, description: str):
        super().__init__(
            description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )

    def error(self, message: str):
        """Print one line and exit with 2."""
        complain(f"{message} (see {self.prog} --help)")
        self.exit(2)


def whole_number(least: int, most: int = 2**32 - 1) -> Callable[[str], int]:
    """An argparse type: integers from `least` to `most`."""

    def parse(text: str) -> int:
        # Few digits: Python refuses to convert thousands of them.
        digits = text.isascii() and text.isdigit() and len(text) < 20
        if not (digits and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(
                f"{text[:20]!r} is not a whole number from {least} to {most}"
            )
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


def is_main() -> bool:
    """Whether this is the process that speaks for all."""
    return os.environ.get("RANK", "0") == "0"


def say(line: str) -> None:
    """Print on the main process only, at once."""
    if is_main():
        print(line, flush=True)


def complain(message: str, *, by_all: bool = False) -> None:
    """Print an error, one line; on the main process only unless each has its own (`by_all`)."""
    if is_main() or by_all:
        # A file's contents may be in it, and what a terminal would obey in those.
        line = "".join(c if c.isprintable() else " " for c in f"error: {message}")
        print(line, file=sys.stderr, flush=True)


def run(main: Callable[[], None]) -> None:
    """Run a command; what a user can cause ends it with one line and exit code 1."""
    threading.excepthook = _thread_failed
    try:
        main()
    except (UserError, StoreError) as error:  # every rank finds the same
        complain(str(error))
    except OSError as error:
        complain(str(error), by_all=True)
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        complain("the memory is not enough; lower --batch-size or the model's sizes", by_all=True)
    except KeyboardInterrupt:
        sys.exit(130)
    else:
        return
    sys.exit(1)


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    # A full disk fails TensorBoard's thread, and then the main one, whose line is enough.
    if not issubclass(failure.exc_type, OSError):
        threading.__excepthook__(failure)


def _is_out_of_memory(error: Exception) -> bool:
    # On a CPU torch has no class of its own for it.
    known = isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError))
    return known or any(
        text in str(error) for text in ("DefaultCPUAllocator", "Storage size calculation overflow")
    )
