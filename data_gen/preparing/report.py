"""What a *_gendata.py command prints: progress, files left out, stores written."""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from data_gen.preparing.store import StoreWriter
from data_gen.readers.raw_folders import RawDataError


@dataclass
class LeftOut:
    """The raw files that are in no store, by the reason.

    strict: whether a malformed file is an error
    missing, other_setup, bodiless: names of clips
    malformed: for each file one line with its name and the fault
    """

    strict: bool
    missing: list[str] = field(default_factory=list)
    other_setup: list[str] = field(default_factory=list)
    bodiless: list[str] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)

    def add_malformed(self, reason: str) -> None:
        """Note a malformed file. Raises RawDataError if `strict`."""
        if self.strict:
            raise RawDataError(f"{reason}; no store was written (--strict)")
        self.malformed.append(reason)

    def print(self) -> None:
        """Print one line for each reason, then its files; of other setups only their number."""
        for what, names, a_line in (
            ("of setups that the data set does not have", self.other_setup, 0),
            ("in the list of missing samples", self.missing, 4),
            ("without any body", self.bodiless, 4),
            ("malformed", self.malformed, 1),
        ):
            if names:
                print(f"left out, {what}: {len(names)}")
            for i in range(0, len(names) if a_line else 0, a_line or 1):
                print("  " + " ".join(names[i : i + a_line]))


def warn(text: str) -> None:
    """Print one line to standard error."""
    print(f"warning: {text}", file=sys.stderr)


def progress(results: Iterable, total: int, seconds: float = 10, unit: str = "clip") -> Iterator:
    """Yield results and show how many are done: a bar on a terminal, else lines.

    total: how many results there will be
    seconds: time between two lines
    unit: what a result is, for the lines
    """
    if sys.stderr.isatty():
        yield from tqdm(results, total=total, unit=unit)
        return
    last = time.monotonic()
    for done, result in enumerate(results, 1):
        yield result
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            print(f"{done} of {total} {unit}s", file=sys.stderr, flush=True)


def print_store(store: StoreWriter, clips: Counter) -> None:
    """Print what a store holds, and whether its splits have the official numbers of clips.

    clips: {(setup, camera, subject): number of clips}
    """
    description = store.description
    size = sum(path.stat().st_size for path in store.folder.iterdir())
    print(
        f"{store.folder.name}: {store.clips} clips, {store.frames} frames, {size / 1e6:.1f} MB "
        f"in {store.folder} ({description.title})"
    )
    setup, camera, subject = np.array(list(clips)).T
    number = np.array(list(clips.values()))
    columns = {"setup": setup, "camera": camera, "subject": subject}
    for protocol in description.splits:
        mask = description.train_mask(protocol, columns)
        counts = int(number[mask].sum()), int(number[~mask].sum())
        print(split_line(protocol, counts, description.official.get(protocol)))


def split_line(protocol: str, counts: tuple[int, int], official: tuple[int, int] | None) -> str:
    """One line: the numbers of (training, test) clips, beside the official numbers if any."""
    line = f"  {protocol}: {counts[0]} training and {counts[1]} test clips"
    if not official:
        return line
    verdict = "" if counts == official else "not "
    return f"{line}, {verdict}the official {official[0]} and {official[1]}"
