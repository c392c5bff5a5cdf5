"""What the *_gendata.py commands share: flags, worker processes, and what they print."""

import argparse
import json
import math
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from common import UserError
from data_gen.writer import StoreWriter
from feeder.skeletons import BUILT_IN, Skeleton, require_metres

DATA = Path(__file__).resolve().parents[1] / "data"
CHUNK = 16  # items that a worker takes at once
AHEAD = 3  # chunks for each worker that may be in work or waiting


def add_flags(parser: argparse.ArgumentParser, stores: str) -> None:
    """Add --out_folder, --workers and --strict. stores: where the store is, for the help"""
    add = parser.add_argument
    add("--out_folder", type=Path, default=DATA, metavar="DIR", help=f"writes {stores} (data)")
    add("--workers", type=int, default=usable_cpus(), help="processes (default: all CPUs)")
    add("--strict", action="store_true", help="a malformed file ends the run without a store")


def skeleton(value: str) -> Skeleton:
    """An argparse type: the name of a built-in skeleton, or a JSON file that describes one."""
    if value in BUILT_IN:
        return BUILT_IN[value]
    if not value.endswith(".json"):
        raise argparse.ArgumentTypeError(f"{value!r} is not {', '.join(BUILT_IN)} or a .json file")
    try:
        return Skeleton.from_plain(json.loads(Path(value).read_text(encoding="utf-8")))
    except (OSError, ValueError, UserError) as error:  # ValueError: no JSON
        raise argparse.ArgumentTypeError(f"{value}: {error}") from None


def usable_cpus() -> int:
    return len(os.sched_getaffinity(0))


def ordered_map(function: Callable, items: Sequence, workers: int) -> Iterator:
    """Yield function(item) for each item, in order, from some processes with a bounded look-ahead.

    With one worker, or few items, this process computes alone. UserError if a worker is killed.
    """
    workers = min(workers, math.ceil(len(items) / CHUNK))
    if workers <= 1:
        yield from map(function, items)
        return
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker)
    pending = deque()
    try:
        for start in range(0, len(items), CHUNK):
            pending.append(pool.submit(_apply, function, items[start : start + CHUNK]))
            if len(pending) > AHEAD * workers:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    except BrokenProcessPool:
        raise UserError("a worker process was killed; is there enough memory?") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _apply(function: Callable, items: Sequence) -> list:
    return [function(item) for item in items]


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()  # returns also if the parent is killed
    os._exit(1)


def read_all(read: Callable, paths: Sequence[Path], workers: int, report: "Report") -> Iterator:
    """Yield (path, read(path)) of the files that hold somebody; report the others."""
    results = ordered_map(partial(_try, read), paths, workers)
    results = tqdm(results, total=len(paths), unit="file", disable=None)
    for path, result in zip(paths, results, strict=True):
        if result is None:
            report.note("left out, without any body", path.name)
        elif isinstance(result, UserError):
            report.malformed(result)
        else:
            yield path, result


def _try(read: Callable, path: Path):
    try:
        result = read(path)
        if isinstance(result, np.ndarray):
            require_metres(path.name, result)
    except (UserError, OSError) as error:
        return UserError(str(error))
    return result


class Report:
    """Files and clips that were left out or changed: {what happened to them: their names}."""

    def __init__(self, strict: bool):
        self.strict = strict  # whether a malformed file ends the run
        self.notes: dict[str, list[str]] = {}

    def note(self, what: str, name: str) -> None:
        self.notes.setdefault(what, []).append(name)

    def malformed(self, fault: UserError) -> None:
        if self.strict:
            raise UserError(f"{fault}; no store was written (--strict)")
        self.note("left out, malformed", str(fault))

    def print(self) -> None:
        for what, names in self.notes.items():
            print(f"{what}: {len(names)}", *names, sep="\n  ")


def print_store(store: StoreWriter) -> None:
    """Print what a store holds, and whether its splits have the official numbers of clips."""
    size = sum(path.stat().st_size for path in store.folder.iterdir()) / 1e6
    held = f"{len(store.rows)} clips, {store.frames} frames, {size:.1f} MB in {store.folder}"
    print(f"{store.folder.name}: {held} ({store.description.title})")
    for protocol, (train, test) in store.split_counts().items():
        line = f"  {protocol}: {train} training and {test} test clips"
        if official := store.description.official.get(protocol):
            verdict = "" if official == (train, test) else "not "
            line += f", {verdict}the official {official[0]} and {official[1]}"
        print(line)


def print_next(store: StoreWriter, run: str, *flags: str) -> None:
    root = () if store.folder.parent == DATA else ("--data-root", store.folder.parent)
    print("next: ./script_pretrain.sh", run, *flags, *root)
