"""What all commands share: a parser that accepts no abbreviated flags, and errors of one line."""

import argparse
import contextlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from common import UserError
from data_gen.preparing import flags
from data_gen.preparing.flags import not_negative, path, positive, text, whole_number
from data_gen.preparing.streams import drop_output, open_streams
from feeder.store import StoreError

__all__ = ["UserError", "not_negative", "path", "positive", "text", "whole_number"]


def file_with(*suffixes: str) -> Callable[[str], Path]:
    """An argparse type: the path of a file whose name ends in one of some suffixes."""

    def parse(value: str) -> Path:
        if (file := path(value)).suffix not in suffixes:
            raise argparse.ArgumentTypeError(f"{value!r} is neither {' nor '.join(suffixes)}")
        return file

    return parse


class Parser(flags.Parser):
    """The parser of commands that may run in several processes.

    Only the main process prints errors.
    """

    def error(self, message: str):
        """Print one line and exit with code 2."""
        complain(f"{message} (see {self.prog} --help)")
        self.exit(2)


def is_main() -> bool:
    """Whether this is the main process, which prints for all processes."""
    return os.environ.get("RANK", "0") == "0"


def say(line: str) -> None:
    """Print a line at once, on the main process only."""
    if is_main():
        print(line, flush=True)


def complain(message: str, *, by_all: bool = False) -> None:
    """Print an error as one line.

    by_all: every process prints its own error; otherwise only the main process prints.
    """
    if is_main() or by_all:
        # The message may quote a file, whose control characters a terminal would obey.
        line = "".join(c if c.isprintable() else " " for c in f"error: {message}")
        with contextlib.suppress(OSError):  # the reader of stderr may be gone
            print(line, file=sys.stderr, flush=True)


def run(main: Callable[[], None], *, lower: str = "the sizes among its flags") -> None:
    """Run a command. An error that a user can cause ends it with one line and exit code 1.

    lower: what the user should lower where the memory is not enough.
    """
    open_streams()
    threading.excepthook = _thread_failed
    try:
        main()
        sys.stdout.flush()
    except (UserError, StoreError) as error:  # each rank raises the same error
        complain(str(error))
    except OSError as error:
        complain(str(error), by_all=True)
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        complain(f"the memory is not enough; lower {lower}", by_all=True)
    except KeyboardInterrupt:
        sys.exit(130)
    else:
        return
    drop_output()
    sys.exit(1)


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    # On a full disk TensorBoard's thread fails, then the main thread, which prints the error.
    if not issubclass(failure.exc_type, OSError):
        threading.__excepthook__(failure)


def _is_out_of_memory(error: Exception) -> bool:
    # On a CPU torch raises a plain RuntimeError where the memory is not enough.
    known = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return known or any(
        text in str(error) for text in ("DefaultCPUAllocator", "Storage size calculation overflow")
    )
