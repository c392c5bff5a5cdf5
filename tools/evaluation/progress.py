"""Progress of what takes long: a bar on a terminal, a plain line now and then elsewhere."""

import time

from tqdm import tqdm

from tools import cli

EVERY = 30.0  # seconds between plain lines


class Progress:
    """Shows how much of something is done. Used in a with statement, whose end takes the bar away.

    what: its title; unit: what `total` counts.
    """

    def __init__(self, what: str, total: int, unit: str):
        self._what, self._total, self._unit = what, total, unit
        self._bar = tqdm(total=total, desc=what, unit=unit, disable=None)
        self._done, self._said = 0, time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_) -> None:
        self._bar.close()

    def update(self, done: int, note: str = "") -> None:
        """So much more is done; note: what to show beside it."""
        self._done += done
        self._bar.update(done)
        if note:
            self._bar.set_postfix_str(note, refresh=False)
        now = time.monotonic()
        if self._bar.disable and now - self._said >= EVERY:
            self._said = now
            share = f"{self._done} of {self._total} {self._unit}s"
            cli.say(f"{self._what}: {', '.join(filter(None, [share, note]))}")
