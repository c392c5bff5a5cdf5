"""Prepare NW-UCLA: from JSON files to one store.

    python data_gen/ucla_gendata.py --data_path DIR

DIR, or the folder all_sqe in DIR, holds the files aAA_sSS_eEE_vVV.json that CTR-GCN and later codes
use. By default the 20 joints of Kinect v1 are written as the 25 joints of Kinect v2. So models that
were trained on NTU RGB+D fit, and results compare with published code, which has 25 joints only.
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

from data_gen.preparing import commands, gendata  # noqa: E402
from data_gen.preparing.clip import prepare_clip  # noqa: E402
from data_gen.preparing.flags import Parser  # noqa: E402
from data_gen.preparing.parallel import ordered_map  # noqa: E402
from data_gen.preparing.report import LeftOut, print_store, progress  # noqa: E402
from data_gen.preparing.store import StoreWriter  # noqa: E402
from data_gen.readers.raw_folders import RawDataError  # noqa: E402
from data_gen.readers.ucla import SUFFIX, UclaFileError, parse_name, read_ucla_file  # noqa: E402
from feeder.datasets.nwucla import DATASETS, KINECT_V1_AS_V2  # noqa: E402
from feeder.skeletons import KINECT_V2  # noqa: E402

RAW_FOLDER = gendata.DATA / "nwucla_raw"


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description="From the JSON files of NW-UCLA to a store for training.")
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
        help="25: two bodies with the joints of Kinect v2, as in NTU RGB+D (default); 20: one body "
        "with the joints of Kinect v1, as recorded",
    )
    gendata.add_flags(parser, "DIR/nwucla, or DIR/nwucla20 with 20 joints")
    return parser.parse_args(argv)


def prepare(args: argparse.Namespace) -> None:
    """Write the store; print what it holds and what was left out."""
    left_out = LeftOut(args.strict)
    paths = find_files(args.data_path)
    name, description = DATASETS[args.joints]
    read = partial(read_clip, joints=args.joints)
    with (
        StoreWriter(args.out_folder / name, description) as store,
        closing(ordered_map(read, paths, args.workers)) as clips,
    ):
        counts = Counter()  # {(setup, camera, subject): number of clips}
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
    # With 1,020 training clips the default batch size of 1,024 would give one step in an epoch.
    print(f"next: {commands.pretraining(store.folder, 'cross_view', '--batch-size', '128')}")


def find_files(folder: Path) -> list[Path]:
    """The JSON files in a folder, in its folder all_sqe, or in all_sqe one folder deeper; sorted.

    Raises RawDataError if there is none.
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
    """The clip (T, M, V, 3) float32; None if it has no body; a message for a malformed file.

    joints: 25 for two bodies of 25 joints, 20 for one body of 20 joints
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
    """Run the command and return its exit code."""
    return gendata.run(prepare, parse_args(argv))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated; no store was written"))
    sys.exit(main())
