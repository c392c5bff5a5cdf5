"""Prepare NTU RGB+D 60 and 120: from raw `.skeleton` files to one store for each data set.

    python data_gen/ntu_gendata.py

The default folders are those of the repository, in whatever folder the command is started.
"""

import argparse
import signal
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from data_gen.preparing import commands, gendata  # noqa: E402
from data_gen.preparing.clip import prepare_clip  # noqa: E402
from data_gen.preparing.flags import Parser  # noqa: E402
from data_gen.preparing.parallel import ordered_map  # noqa: E402
from data_gen.preparing.report import LeftOut, print_store, progress, warn  # noqa: E402
from data_gen.preparing.store import StoreWriter  # noqa: E402
from data_gen.readers.missing import official_missing  # noqa: E402
from data_gen.readers.raw_folders import (  # noqa: E402
    SYNTHETIC_MARK,
    RawDataError,
    find_files,
    find_missing_lists,
    read_missing_list,
    skeleton_folders,
)
from data_gen.readers.skeleton_file import (  # noqa: E402
    SampleName,
    SkeletonFileError,
    parse_name,
    read_skeleton_file,
)
from feeder.datasets.ntu import DATASETS, LAST_SETUP, synthetic  # noqa: E402

RAW_FOLDERS = (gendata.DATA / "nturgbd_raw", gendata.DATA / "nturgbd_raw_120")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description="Raw NTU .skeleton files -> packed stores for training.")
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
        help="list of clips to leave out, an empty file for none (default: the lists beside the "
        "raw files if there are any, else the official list)",
    )
    gendata.add_flags(parser, "DIR/ntu60 or DIR/ntu120")
    args = parser.parse_args(argv)
    for path in args.data_path or ():
        if not path.is_dir():
            parser.error(f"--data_path {path} is no folder")
    return args


def prepare(args: argparse.Namespace) -> None:
    """Write the stores; print what they hold and what was left out."""
    left_out = LeftOut(args.strict)
    folders, paths = find_raw(args.data_path or RAW_FOLDERS)
    samples = parse_names(paths, left_out)
    datasets = choose_datasets(args.dataset, samples)
    missing = missing_names(args.ignored_sample_path, folders, datasets)
    names = choose_clips(samples, missing, datasets, left_out)
    with ExitStack() as stack:
        is_synthetic = any((folder / SYNTHETIC_MARK).is_file() for folder in folders)
        described = {d: synthetic(d) if is_synthetic else DATASETS[d] for d in datasets}
        stores = {
            dataset: stack.enter_context(StoreWriter(args.out_folder / dataset, description))
            for dataset, description in described.items()
        }
        clips = ordered_map(read_clip, [paths[name] for name in names], args.workers)
        clips = progress(stack.enter_context(closing(clips)), len(names))
        counts = fill(stores, names, samples, clips, left_out)
        left_out.print()
        empty = [dataset for dataset in datasets if not stores[dataset].clips]
        if empty or not datasets:
            raise RawDataError(
                f"no clip for {' or '.join(empty or DATASETS)} among {len(paths)} raw files, so no "
                "store was written"
            )
        for store in stores.values():
            store.commit()
    for dataset in datasets:
        print_store(stores[dataset], counts[dataset])
    print(f"next: {commands.pretraining(args.out_folder / datasets[-1], 'cross_subject')}")


def find_raw(places: Iterable[Path]) -> tuple[list[Path], dict[str, Path]]:
    """The folders of raw files, and {name of a clip: its file}.

    places: the folders to search
    Raises RawDataError if there is no raw file.
    """
    folders = [folder for folder in skeleton_folders(places) if folder.is_dir()]
    paths = find_files(folders)
    if not paths:
        raise RawDataError(
            f"no .skeleton file in {' or '.join(map(str, places))}: download the skeletons of NTU "
            "RGB+D from https://rose1.ntu.edu.sg/dataset/actionRecognition and unpack them there "
            "into nturgb+d_skeletons, or name their folder with --data_path"
        )
    return folders, paths


def parse_names(names: Iterable[str], left_out: LeftOut) -> dict[str, SampleName]:
    """{name of a clip: its fields}. A name that is not that of a clip goes to `left_out`."""
    samples = {}
    for name in names:
        try:
            samples[name] = parse_name(name)
        except SkeletonFileError as error:
            left_out.add_malformed(str(error))
    return samples


def choose_datasets(wanted: str, samples: dict[str, SampleName]) -> list[str]:
    """The data sets to write.

    wanted: a data set, or "all" for each data set that has a recording of its own setups
    samples: {name of a clip: its fields}
    """
    if wanted != "all":
        return [wanted]
    setups = {sample.setup for sample in samples.values()}
    last = LAST_SETUP["ntu60"]
    recorded = {"ntu60": any(s <= last for s in setups), "ntu120": any(s > last for s in setups)}
    return [dataset for dataset in DATASETS if recorded[dataset]]


def missing_names(path: Path | None, folders: list[Path], datasets: list[str]) -> set[str]:
    """The names of the clips to leave out.

    path: the user's list; None for the lists beside the raw files, or else the official list
    folders: the folders of raw files
    datasets: the data sets to write
    Raises RawDataError if a list cannot be read.
    """
    lists = [path] if path else find_missing_lists(folders)
    if not lists:
        return official_missing()
    missing = set().union(*map(read_missing_list, lists))
    if not path and "ntu120" in datasets and max(missing, default="") < "S018":
        warn(
            f"{' and '.join(map(str, lists))}: no name of S018 to S032, which NTU-120's list has; "
            "where there is no such file, the official list is taken"
        )
    return missing


def choose_clips(
    samples: dict[str, SampleName], missing: set[str], datasets: list[str], left_out: LeftOut
) -> list[str]:
    """The names of the clips to read, sorted. All other names go to `left_out`.

    samples: {name of a clip: its fields}
    missing: names to leave out
    datasets: the data sets to write
    """
    last_setup = max((LAST_SETUP[dataset] for dataset in datasets), default=0)
    names = []
    for name in sorted(samples):
        if name in missing:
            left_out.missing.append(name)
        elif samples[name].setup > last_setup:
            left_out.other_setup.append(name)
        else:
            names.append(name)
    return names


def read_clip(path: Path) -> np.ndarray | str | None:
    """The clip (T, 2, 25, 3) float32; None if it has no body; a message for a malformed file."""
    try:
        return prepare_clip(read_skeleton_file(path))
    except SkeletonFileError as error:
        return str(error)


def fill(
    stores: dict[str, StoreWriter],
    names: list[str],
    samples: dict[str, SampleName],
    clips: Iterable[np.ndarray | str | None],
    left_out: LeftOut,
) -> dict[str, Counter]:
    """Write each clip to the stores of the data sets that have its setup.

    stores: {data set: its store}
    names, clips: the names of the clips, and what `read_clip` returned for them
    samples: {name of a clip: its fields}
    left_out: takes the clips that cannot be written
    Returns {data set: {(setup, camera, subject): number of clips}}.
    """
    counts = {dataset: Counter() for dataset in stores}
    for name, clip in zip(names, clips, strict=True):
        if isinstance(clip, str):
            left_out.add_malformed(clip)
        elif clip is None:
            left_out.bodiless.append(name)
        else:
            for dataset, store in stores.items():
                if samples[name].setup <= LAST_SETUP[dataset]:
                    store.add(name, samples[name], clip)
                    counts[dataset][samples[name][:3]] += 1
    return counts


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return gendata.run(prepare, parse_args(argv))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated; no store was written"))
    sys.exit(main())
