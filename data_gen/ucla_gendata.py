"""Prepares NW-UCLA: its JSON files -> one packed store.

    python data_gen/ucla_gendata.py --data_path DIR

DIR, or the folder all_sqe in it, holds the files aAA_sSS_eEE_vVV.json that CTR-GCN and its
successors use. By default the 20 joints of Kinect v1 are written as the 25 of Kinect v2, so that
models of NTU RGB+D fit and figures compare with those of published code, which knows 25 only.
"""

import argparse
import signal
import sys
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from data_gen.datasets.nwucla import DATASETS, KINECT_V1_AS_V2  # noqa: E402
from data_gen.datasets.skeletons import KINECT_V2  # noqa: E402
from data_gen.preparing import commands, gendata  # noqa: E402
from data_gen.preparing.clip import prepare_clip  # noqa: E402
from data_gen.preparing.flags import Parser  # noqa: E402
from data_gen.preparing.parallel import ordered_map  # noqa: E402
from data_gen.preparing.report import LeftOut, print_store, progress  # noqa: E402
from data_gen.preparing.store import StoreWriter  # noqa: E402
from data_gen.readers.raw_folders import RawDataError  # noqa: E402
from data_gen.readers.ucla import SUFFIX, UclaFileError, parse_name, read_ucla_file  # noqa: E402

RAW_FOLDER = gendata.DATA / "nwucla_raw"


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description="NW-UCLA's JSON files -> a packed store for training.")
    parser.add_argument(
        "--data_path",
        type=Path,
        default=RAW_FOLDER,
        metavar="DIR",
        help="folder of the JSON files or of all_sqe (default: data/nwucla_raw)",
    )
    parser.add_argument(
        "--joints",
        type=int,
        choices=DATASETS,
        default=25,
        help="25: two bodies of Kinect v2's joints, as NTU RGB+D (default); 20: one body of "
        "Kinect v1's joints as recorded",
    )
    gendata.add_flags(parser, "DIR/nwucla, of 20 joints DIR/nwucla20")
    return parser.parse_args(argv)


def prepare(args: argparse.Namespace):
    """Writes the store and prints what is in it and what is not."""
    left_out = LeftOut(args.strict)
    paths = find_files(args.data_path)
    name, description = DATASETS[args.joints]
    read = partial(read_clip, joints=args.joints)
    with (
        StoreWriter(args.out_folder / name, description) as store,
        closing(ordered_map(read, paths, args.workers)) as clips,
    ):
        counts = Counter()  # of each (setup, camera, subject)
        for path, clip in zip(paths, progress(clips, len(paths)), strict=True):
            if isinstance(clip, str):
                left_out.add_malformed(clip)
            elif clip is None:
                left_out.bodiless.append(path.stem)
            else:
                fields = parse_name(path.stem)
                store.add(path.stem, fields, clip)
                counts[fields[:3]] += 1
        left_out.print()
        if not store.clips:
            raise RawDataError(f"no clip in {args.data_path}, so no store was written")
        store.commit()
    print_store(store, counts)
    # Of 1,020 training clips the default batch of 1,024 makes a single step.
    print(f"next: {commands.pretraining(store.folder, 'cross_view', '--batch-size', '128')}")


def find_files(folder: Path) -> list[Path]:
    """The JSON files of a folder, of all_sqe in it or of all_sqe one folder deeper, by name.

    Raises RawDataError where there is none.
    """
    for place in ("", "all_sqe/", "*/all_sqe/"):
        if paths := sorted(folder.glob(f"{place}a*_s*_e*_v*{SUFFIX}")):
            return paths
    raise RawDataError(
        f"no file like a01_s01_e00_v01{SUFFIX} in {folder}: unpack NW-UCLA there (its "
        "skeletons are linked from https://github.com/Uason-Chen/CTR-GCN), or name the "
        "folder with --data_path"
    )


def read_clip(path: Path, joints: int) -> np.ndarray | str | None:
    """A clip (T, M, V, 3) float32; None if it shows nobody; what is wrong with its file.

    joints: 25 gives two bodies of 25 joints, 20 one body of 20.
    """
    try:
        bodies = read_ucla_file(path)  # (T, 1, 20, 3)
    except UclaFileError as error:
        return str(error)
    _, description = DATASETS[joints]
    if joints == KINECT_V2.num_joints:
        bodies = bodies[:, :, KINECT_V1_AS_V2]
    return prepare_clip(bodies, description.layout)


def main(argv: list[str] | None = None) -> int:
    """Exit code of the command."""
    return gendata.run(prepare, parse_args(argv))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated; no store was written"))
    sys.exit(main())
