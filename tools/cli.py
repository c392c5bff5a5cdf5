"""What the commands share: flags that are not guessed, and errors that are one line."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable

from data_gen.preparing import flags
from data_gen.preparing.flags import not_negative, path, positive, text, whole_number
from data_gen.preparing.streams import drop_output, open_streams
from feeder.store import StoreError

__all__ = ["not_negative", "path", "positive", "text", "whole_number"]


class UserError(Exception):
    """Something that the user can mend; its text is one line that says how."""


class Parser(flags.Parser):
    """The parser of the commands that may run in several processes, of which one complains."""

    def error(self, message: str):
        """Print one line and exit with 2."""
        complain(f"{message} (see {self.prog} --help)")
        self.exit(2)


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
        with contextlib.suppress(OSError):  # nobody reads it
            print(line, file=sys.stderr, flush=True)


def run(main: Callable[[], None], *, lower: str = "the sizes among its flags") -> None:
    """Run a command; what a user can cause ends it with one line and exit code 1.

    lower: what takes less memory when it is lower, for the line that says that it is not enough.
    """
    open_streams()
    threading.excepthook = _thread_failed
    try:
        main()
        sys.stdout.flush()
    except (UserError, StoreError) as error:  # every rank finds the same
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
    # A full disk fails TensorBoard's thread, and then the main one, whose line is enough.
    if not issubclass(failure.exc_type, OSError):
        threading.__excepthook__(failure)


def _is_out_of_memory(error: Exception) -> bool:
    # On a CPU torch has no class of its own for it.
    known = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return known or any(
        text in str(error) for text in ("DefaultCPUAllocator", "Storage size calculation overflow")
    )
