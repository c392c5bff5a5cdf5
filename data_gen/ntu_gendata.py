"""Prepare NTU RGB+D 60 and 120: from raw `.skeleton` files to one store for each data set.

    python data_gen/ntu_gendata.py

Missing samples are left out. A file becomes its bodies in metres, four in a frame at most
(readers/skeleton_file.py), and these a clip of two bodies (`prepare_clip` in clip.py).
"""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import UserError, run
from data_gen.clip import prepare_clip
from data_gen.gendata import DATA, Report, add_flags, print_next, print_store, read_all
from data_gen.readers import skeleton_file
from data_gen.writer import StoreWriter
from feeder.datasets import LAST_SETUP, NTU_DATASETS, synthetic

RAW_FOLDERS = (DATA / "nturgbd_raw", DATA / "nturgbd_raw_120")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add = parser.add_argument
    which = "all (default): the data sets of which there are recordings"
    add("--dataset", choices=(*NTU_DATASETS, "all"), default="all", help=which)
    folders = "folders of raw files, at any depth (data/nturgbd_raw and data/nturgbd_raw_120)"
    add("--data_path", nargs="+", type=Path, metavar="DIR", help=folders)
    missing = "clips to leave out, an empty file for none (that beside the files, or the official)"
    add("--ignored_sample_path", type=Path, metavar="FILE", help=missing)
    add_flags(parser, "DIR/ntu60 or DIR/ntu120")
    args = parser.parse_args(argv)
    for path in args.data_path or ():
        if not path.is_dir():
            parser.error(f"--data_path {path} is no folder")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    report = Report(args.strict)
    folders = args.data_path or RAW_FOLDERS
    files, samples = skeleton_file.find_skeleton_files(folders), {}
    for name in files:
        try:
            samples[name] = skeleton_file.parse_name(name)
        except UserError as error:
            report.malformed(error)
    if not samples:
        report.print()
        where = " or ".join(map(str, folders))
        raise UserError(f"no .skeleton file of NTU RGB+D in {where}; name their --data_path")

    setups, last = [sample.setup for sample in samples.values()], LAST_SETUP["ntu60"]
    wanted = [args.dataset]
    if args.dataset == "all":  # the data sets that have a recording of a setup of their own
        recorded = {"ntu60": min(setups) <= last, "ntu120": max(setups) > last}
        wanted = [dataset for dataset in recorded if recorded[dataset]]
    is_ntu120 = "ntu120" in wanted
    missing = skeleton_file.missing_samples(args.ignored_sample_path, files.values(), is_ntu120)
    last_setup = max(LAST_SETUP[dataset] for dataset in wanted)
    paths = []
    for name, sample in samples.items():
        if name in missing:
            report.note("left out, in the list of missing samples", name)
        elif sample.setup <= last_setup:
            paths.append(files[name])
    if min(setups) > last_setup:
        raise UserError(f"no recording of setups 1 to {last_setup}, which {wanted[0]} has")

    mark = skeleton_file.SYNTHETIC_MARK
    describe = synthetic if any(p.with_name(mark).is_file() for p in paths) else NTU_DATASETS.get
    with ExitStack() as stack:
        stores = {
            dataset: stack.enter_context(StoreWriter(args.out_folder / dataset, describe(dataset)))
            for dataset in wanted
        }
        for path, clip in read_all(read_clip, paths, args.workers, report):
            sample = samples[path.stem]
            for dataset, store in stores.items():
                if sample.setup <= LAST_SETUP[dataset]:
                    store.add(path.stem, sample, clip)
        report.print()
        for store in stores.values():
            store.commit()
    for store in stores.values():
        print_store(store)
    print_next(stores[wanted[-1]], f"{wanted[-1]}_xsub")


def read_clip(path: Path) -> np.ndarray | None:
    return prepare_clip(skeleton_file.read_skeleton_file(path))


if __name__ == "__main__":
    run(main)
