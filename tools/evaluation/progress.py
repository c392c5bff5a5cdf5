"""Progress of long work: a bar on a terminal; elsewhere a plain line from time to time."""

import time

from tqdm import tqdm

from tools import cli

EVERY = 30.0  # seconds between plain lines


class Progress:
    """Shows how much work is done. Use it in a with statement, whose end removes the bar."""

    def __init__(self, what: str, total: int, unit: str):
        """Begin at zero.

        what: title of the work.
        total: amount of work.
        unit: what `total` counts.
        """
        self._what, self._total, self._unit = what, total, unit
        self._bar = tqdm(total=total, desc=what, unit=unit, disable=None)
        self._done, self._said = 0, time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_) -> None:
        self._bar.close()

    def update(self, done: int, note: str = "") -> None:
        """Tell that `done` more units are done.

        note: text to show beside the bar.
        """
        self._done += done
        self._bar.update(done)
        if note:
            self._bar.set_postfix_str(note, refresh=False)
        now = time.monotonic()
        if self._bar.disable and now - self._said >= EVERY:
            self._said = now
            share = f"{self._done} of {self._total} {self._unit}s"
            cli.say(f"{self._what}: {', '.join(filter(None, [share, note]))}")
