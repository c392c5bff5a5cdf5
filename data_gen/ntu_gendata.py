"""Prepares NTU RGB+D 60 and 120: raw `.skeleton` files -> one packed store a data set.

Run from anywhere, `python data_gen/ntu_gendata.py`: the default folders are the repository's.
"""

import argparse
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from data_gen.clip import prepare_clip  # noqa: E402
from data_gen.ntu import DATASETS, train_mask  # noqa: E402
from data_gen.parallel import WorkerDied, ordered_map  # noqa: E402
from data_gen.raw_folders import (  # noqa: E402
    RawDataError,
    find_files,
    find_missing_lists,
    read_missing_list,
    skeleton_folders,
)
from data_gen.skeleton_file import SkeletonFileError, parse_name, read_skeleton_file  # noqa: E402
from data_gen.store import StoreError, StoreWriter  # noqa: E402

DATA = ROOT / "data"
RAW_FOLDERS = (DATA / "nturgbd_raw", DATA / "nturgbd_raw_120")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Raw NTU .skeleton files -> packed stores for training.", allow_abbrev=False
    )
    parser.add_argument(
        "--dataset",
        choices=(*DATASETS, "all"),
        default="all",
        help="which store to write; all: those of which there are recordings (default)",
    )
    parser.add_argument(
        "--data_path",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="folders of raw files (default: data/nturgbd_raw and data/nturgbd_raw_120)",
    )
    parser.add_argument(
        "--ignored_sample_path",
        type=Path,
        metavar="FILE",
        help="list of clips to leave out (default: the official lists beside the raw files)",
    )
    parser.add_argument(
        "--out_folder",
        type=Path,
        default=DATA,
        metavar="DIR",
        help="the stores become DIR/ntu60 and DIR/ntu120 (default: data)",
    )
    parser.add_argument(
        "--workers", type=int, default=usable_cpus(), help="processes (default: all CPUs)"
    )
    parser.add_argument(
        "--strict", action="store_true", help="a malformed file ends the run without a store"
    )
    args = parser.parse_args(argv)
    if args.workers < 1:
        parser.error("--workers is at least 1")
    return args


def usable_cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class LeftOut:
    """Raw files that are in no store, and why."""

    missing: list[str] = field(default_factory=list)
    other_setup: list[str] = field(default_factory=list)
    bodiless: list[str] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)  # name, line and reason


# ---------------------------------------------------------------- the run, from flags to store


def prepare(args: argparse.Namespace):
    """Writes the stores and prints what is in them and what is not."""
    raw, missing = find_raw(args)
    left_out = LeftOut()
    samples = {}
    for name in raw:
        try:
            samples[name] = parse_name(name)
        except SkeletonFileError as error:
            note_malformed(str(error), left_out, args.strict)
    datasets = choose_datasets(args.dataset, {sample.setup for sample in samples.values()})
    last_setup = max(DATASETS[name].max_setup for name in datasets)
    left_out.missing = [name for name in samples if name in missing]
    left_out.other_setup = [name for name in samples if samples[name].setup > last_setup]
    names = sorted(samples.keys() - {*left_out.missing, *left_out.other_setup})

    with ExitStack() as stack:
        stores = [stack.enter_context(StoreWriter(args.out_folder / name)) for name in datasets]
        counts = [Counter() for _ in stores]  # clips of each (setup, camera, subject)
        paths = (raw[name] for name in names)
        clips = stack.enter_context(closing(ordered_map(read_clip, paths, args.workers)))
        for name, clip in zip(names, progress(clips, len(names)), strict=True):
            if isinstance(clip, str):
                note_malformed(clip, left_out, args.strict)
            elif clip is None:
                left_out.bodiless.append(name)
            else:
                sample = samples[name]
                for dataset, store, count in zip(datasets, stores, counts, strict=True):
                    if sample.setup <= DATASETS[dataset].max_setup:
                        store.add(name, sample, clip)
                        count[sample[:3]] += 1
        report_left_out(left_out)
        for dataset, store in zip(datasets, stores, strict=True):
            if not store.clips:
                raise RawDataError(f"no clip is left for {dataset}; no store was written")
        for store in stores:
            store.commit()
    for dataset, store, count in zip(datasets, stores, counts, strict=True):
        report_store(dataset, store, count)
    print(f"next: ./script_pretrain.sh {datasets[-1]}_xsub")


def find_raw(args: argparse.Namespace) -> tuple[dict[str, Path], set[str]]:
    """The raw files by name, and the names of those to leave out."""
    for path in args.data_path or ():
        if not path.is_dir():
            raise RawDataError(f"--data_path {path} is no folder")
    looked = args.data_path or RAW_FOLDERS
    folders = [folder for folder in skeleton_folders(looked) if folder.is_dir()]
    raw = find_files(folders)
    if not raw:
        raise RawDataError(
            f"no .skeleton file in {' or '.join(map(str, looked))}: download the skeletons of NTU "
            "RGB+D from https://rose1.ntu.edu.sg/dataset/actionRecognition and unpack them there "
            "into nturgb+d_skeletons, or name their folder with --data_path"
        )
    lists = [args.ignored_sample_path] if args.ignored_sample_path else find_missing_lists(folders)
    missing = set().union(*map(read_missing_list, lists))
    new_setups = "S018"  # those that only NTU-120 has
    if not lists:
        warn("found no list of missing samples, so the counts will not be the official ones")
    elif any(name >= new_setups for name in raw) and not any(
        name >= new_setups for name in missing
    ):
        warn("no list of missing samples names clips of S018 to S032; is that of NTU-120 missing?")
    return raw, missing


def choose_datasets(wanted: str, setups: set[int]) -> list[str]:
    """The data sets to prepare from recordings of these setups."""
    old = DATASETS["ntu60"].max_setup
    there = {"ntu60": any(s <= old for s in setups), "ntu120": any(s > old for s in setups)}
    if wanted == "ntu120":
        return [wanted]
    datasets = [name for name in there if there[name] and wanted in (name, "all")]
    if not datasets:
        raise RawDataError(f"no recording of {wanted} (setups 1 to {old}) among the raw files")
    return datasets


def read_clip(path: Path) -> np.ndarray | str | None:
    """A clip (T, 2, 25, 3) float32; None if it shows nobody; what is wrong with its file."""
    try:
        return prepare_clip(read_skeleton_file(path))
    except SkeletonFileError as error:
        return str(error)


def note_malformed(reason: str, left_out: LeftOut, strict: bool):
    if strict:
        raise RawDataError(f"{reason}; no store was written (--strict)")
    left_out.malformed.append(reason)


# ------------------------------------------------------------------------------ what is printed


def warn(text: str):
    print(f"warning: {text}", file=sys.stderr)


def progress(results: Iterable, total: int, seconds: float = 10) -> Iterator:
    """A bar on a terminal, else a line every so many seconds."""
    if sys.stderr.isatty():
        yield from tqdm(results, total=total, unit="clip")
        return
    last = time.monotonic()
    for done, result in enumerate(results, 1):
        yield result
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            print(f"{done} of {total} files", file=sys.stderr, flush=True)


def report_left_out(left_out: LeftOut):
    """Every file that is in no store."""
    for what, names in (
        ("in the list of missing samples", left_out.missing),
        ("of setups that the data set does not have", left_out.other_setup),
    ):
        if names:
            print(f"left out, {what}: {len(names)}")
    if left_out.bodiless:
        print(f"left out, without any body: {len(left_out.bodiless)}")
        print(*(f"  {name}" for name in left_out.bodiless), sep="\n")
    if left_out.malformed:
        print(f"left out, malformed: {len(left_out.malformed)}")
        print(*(f"  {reason}" for reason in left_out.malformed), sep="\n")


def report_store(dataset: str, store: StoreWriter, clips: Counter):
    """What a store holds, and whether its splits are the official ones."""
    size = sum(path.stat().st_size for path in store.folder.iterdir())
    print(
        f"{dataset}: {store.clips} clips, {store.frames} frames, {size / 1e6:.1f} MB "
        f"in {store.folder}"
    )
    setup, camera, subject = np.array(list(clips)).T
    number = np.array(list(clips.values()))
    for protocol, official in DATASETS[dataset].protocols.items():
        mask = train_mask(protocol, dataset, setup=setup, camera=camera, subject=subject)
        train, test = int(number[mask].sum()), int(number[~mask].sum())
        verdict = (
            "official" if (train, test) == official else "official: {} and {}".format(*official)
        )
        print(f"  {protocol}: {train} train, {test} test ({verdict})")


def main(argv: list[str] | None = None) -> int:
    """Exit code of the command."""
    args = parse_args(argv)
    try:
        prepare(args)
    except (RawDataError, StoreError, WorkerDied) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error}; no store was written", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; no store was written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated; no store was written"))
    sys.exit(main())
