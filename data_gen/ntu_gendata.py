"""Prepares NTU RGB+D 60 and 120: raw `.skeleton` files -> one packed store a data set.

Run from anywhere, `python data_gen/ntu_gendata.py`: the default folders are the repository's.
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

from data_gen.datasets.missing import official_missing  # noqa: E402
from data_gen.datasets.ntu import DATASETS, LAST_SETUP, synthetic  # noqa: E402
from data_gen.preparing import commands, gendata  # noqa: E402
from data_gen.preparing.clip import prepare_clip  # noqa: E402
from data_gen.preparing.flags import Parser  # noqa: E402
from data_gen.preparing.parallel import ordered_map  # noqa: E402
from data_gen.preparing.report import LeftOut, print_store, progress, warn  # noqa: E402
from data_gen.preparing.store import StoreWriter  # noqa: E402
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


def prepare(args: argparse.Namespace):
    """Writes the stores and prints what is in them and what is not."""
    left_out = LeftOut(args.strict)
    folders, paths = find_raw(args.data_path or RAW_FOLDERS)
    samples = parse_names(paths, left_out)
    datasets = choose_datasets(args.dataset, samples)
    missing = missing_names(args.ignored_sample_path, folders, datasets)
    names = choose_clips(samples, missing, datasets, left_out)
    with ExitStack() as stack:
        made_up = any((folder / SYNTHETIC_MARK).is_file() for folder in folders)
        described = {d: synthetic(d) if made_up else DATASETS[d] for d in datasets}
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


def find_raw(looked: Iterable[Path]) -> tuple[list[Path], dict[str, Path]]:
    """The folders of raw files, and the files by name."""
    folders = [folder for folder in skeleton_folders(looked) if folder.is_dir()]
    paths = find_files(folders)
    if not paths:
        raise RawDataError(
            f"no .skeleton file in {' or '.join(map(str, looked))}: download the skeletons of NTU "
            "RGB+D from https://rose1.ntu.edu.sg/dataset/actionRecognition and unpack them there "
            "into nturgb+d_skeletons, or name their folder with --data_path"
        )
    return folders, paths


def parse_names(names: Iterable[str], left_out: LeftOut) -> dict[str, SampleName]:
    """What the names say; those that are no clip's are left out."""
    samples = {}
    for name in names:
        try:
            samples[name] = parse_name(name)
        except SkeletonFileError as error:
            left_out.add_malformed(str(error))
    return samples


def choose_datasets(wanted: str, samples: dict[str, SampleName]) -> list[str]:
    """The data set wanted, or of all those that have recordings of setups of their own."""
    if wanted != "all":
        return [wanted]
    setups = {sample.setup for sample in samples.values()}
    last_old = LAST_SETUP["ntu60"]
    own = {"ntu60": any(s <= last_old for s in setups), "ntu120": any(s > last_old for s in setups)}
    return [dataset for dataset in DATASETS if own[dataset]]


def missing_names(path: Path | None, folders: list[Path], datasets: list[str]) -> set[str]:
    """The names to leave out: the user's list, or lists beside the raw files, or the official one.

    Raises RawDataError where a list cannot be read.
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
    """Names of the clips to read, sorted."""
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
    """A clip (T, 2, 25, 3) float32; None if it shows nobody; what is wrong with its file."""
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
    """Writes each clip into the stores that take its setup.

    Returns for each store the number of clips of each (setup, camera, subject).
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
    """Exit code of the command."""
    return gendata.run(prepare, parse_args(argv))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated; no store was written"))
    sys.exit(main())
