"""What every command shares: errors of one line, and files that are written atomically."""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path


class UserError(Exception):
    """A mistake of the user. Its text is one line: the file or flag, and how to fix it."""


def flag(name: str) -> str:
    """hidden_size -> --hidden-size."""
    return "--" + name.replace("_", "-")


def run(main: Callable[[], None]) -> None:
    """Call `main`; a UserError or an OSError becomes one line on stderr and exit code 1.

    Under torchrun every rank raises the same UserError, so only rank 0 prints it.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that is not UTF-8 ends no command
            stream.reconfigure(errors="replace")
    try:
        main()
    except (UserError, OSError) as error:
        if os.environ.get("RANK", "0") == "0" or isinstance(error, OSError):
            line = "".join(c if c.isprintable() else " " for c in f"error: {error}")
            print(line, file=sys.stderr, flush=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Write a file or folder atomically: it appears under its name once it is complete, on disk.

    Yields a path in the same folder, where nothing is; make a file or a folder there. If the block
    fails, it is removed and an older file stays. A folder replaces only an empty folder.
    """
    path = Path(path).resolve()
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield part
        for file in (*part.rglob("*"), part):
            fsync(file)
        part.replace(path)
        fsync(path.parent)
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)


def fsync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
