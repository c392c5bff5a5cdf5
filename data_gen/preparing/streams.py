"""Standard streams that are closed, or whose output cannot be written."""

import os
import sys


def open_streams() -> None:
    """Open each closed standard stream to /dev/null.

    Otherwise `print` raises, and the next file that is opened gets the stream's number, to which
    libraries write.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            nowhere = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(nowhere, "w" if number else "r"))


def drop_output() -> None:
    """Drop output that cannot be written. Python would try again, and fail, when it exits."""
    try:
        sys.stdout.flush()
    except OSError:  # the disk is full, or the reader has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
