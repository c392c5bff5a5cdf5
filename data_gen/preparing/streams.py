"""Standard streams that are closed, full or read by nobody."""

import os
import sys


def open_streams():
    """Opens those of the standard streams that are closed, to nowhere.

    Otherwise what is printed to one raises, and the next file opened has the number to which
    libraries print.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            nowhere = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(nowhere, "w" if number else "r"))


def drop_output():
    """Forgets output that cannot be written, on which Python would stumble once more at its end."""
    try:
        sys.stdout.flush()
    except OSError:  # a full disk, or nobody reads it any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
