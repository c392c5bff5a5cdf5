"""What the preparing command says: progress, the files left out, the stores written."""

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
    """Raw files that are in no store, and why; when strict, a malformed one is an error."""

    strict: bool
    missing: list[str] = field(default_factory=list)
    other_setup: list[str] = field(default_factory=list)
    bodiless: list[str] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)  # name, line and reason

    def add_malformed(self, reason: str):
        """Raises RawDataError when strict."""
        if self.strict:
            raise RawDataError(f"{reason}; no store was written (--strict)")
        self.malformed.append(reason)

    def print(self):
        """One line a group, then its files; of whole setups that belong elsewhere the number."""
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


def warn(text: str):
    """One line to standard error."""
    print(f"warning: {text}", file=sys.stderr)


def progress(results: Iterable, total: int, seconds: float = 10, unit: str = "clip") -> Iterator:
    """Passes results on, with a bar on a terminal, else with a line every so many seconds."""
    if sys.stderr.isatty():
        yield from tqdm(results, total=total, unit=unit)
        return
    last = time.monotonic()
    for done, result in enumerate(results, 1):
        yield result
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            print(f"{done} of {total} {unit}s", file=sys.stderr, flush=True)


def print_store(store: StoreWriter, clips: Counter):
    """What a store of NTU's form holds, and whether its splits are the official ones.

    clips: the number of clips of each (setup, camera, subject).
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
    """How many clips train and test under a protocol, beside the official numbers, if any."""
    line = f"  {protocol}: {counts[0]} training and {counts[1]} test clips"
    if not official:
        return line
    verdict = "" if counts == official else "not "
    return f"{line}, {verdict}the official {official[0]} and {official[1]}"
