"""Prepare NW-UCLA: from JSON files to one store.

    python data_gen/ucla_gendata.py --data_path DIR

DIR, or the folder all_sqe in DIR, holds the files aAA_sSS_eEE_vVV.json that CTR-GCN and later codes
use. By default the 20 joints of Kinect v1 are written as the 25 joints of Kinect v2. So models that
were trained on NTU RGB+D fit, and results compare with published code, which has 25 joints only.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from common import UserError, run  # noqa: E402
from data_gen.clip import prepare_clip  # noqa: E402
from data_gen.gendata import DATA, Report, add_flags, print_next, print_store, read_all  # noqa: E402
from data_gen.readers.ucla import SUFFIX, parse_name, read_ucla_file  # noqa: E402
from data_gen.writer import StoreWriter  # noqa: E402
from feeder.datasets.nwucla import DATASETS, KINECT_V1_AS_V2  # noqa: E402
from feeder.skeletons import KINECT_V2  # noqa: E402


# fmt: off
def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="From the JSON files of NW-UCLA to a store for training.", allow_abbrev=False
    )
    add = parser.add_argument
    add("--data_path", type=Path, default=DATA / "nwucla_raw", metavar="DIR",
        help="folder of the JSON files or of all_sqe (default: data/nwucla_raw)")
    add("--joints", type=int, choices=DATASETS, default=25,
        help="25: two bodies with the joints of Kinect v2, as in NTU RGB+D (default); 20: one body "
        "with the joints of Kinect v1, as recorded")
    add_flags(parser, "DIR/nwucla, or DIR/nwucla20 with 20 joints")
    return parser.parse_args(argv)
# fmt: on


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    report = Report(args.strict)
    paths = find_files(args.data_path)
    name, description = DATASETS[args.joints]
    read = partial(read_clip, joints=args.joints)
    with StoreWriter(args.out_folder / name, description) as store:
        for path, clip in read_all(read, paths, args.workers, report):
            store.add(path.stem, parse_name(path.stem), clip)
        report.print()
        if not store.clips:
            raise UserError(f"no clip in {args.data_path}, so no store was written")
        store.commit()
    print_store(store)
    # With 1,020 training clips the default batch size of 1,024 would give one step in an epoch.
    flags = f"--pre-dataset {name} --protocol cross_view --batch-size 128"
    print_next(store, f"{name}_xview", flags)


def find_files(folder: Path) -> list[Path]:
    """The JSON files in a folder, in its folder all_sqe, or in all_sqe one folder deeper; sorted.

    Raises UserError if there is none.
    """
    for place in ("", "all_sqe/", "*/all_sqe/"):
        if paths := sorted(folder.glob(f"{place}a*_s*_e*_v*{SUFFIX}")):
            return paths
    raise UserError(
        f"no file like a01_s01_e00_v01{SUFFIX} in {folder}: unpack NW-UCLA there (its "
        "skeletons are linked from https://github.com/Uason-Chen/CTR-GCN), or name the "
        "folder with --data_path"
    )


def read_clip(path: Path, joints: int) -> np.ndarray | None:
    """The clip (T, M, V, 3) float32; None if it has no body. Raises UserError if malformed.

    joints: 25 for two bodies of 25 joints, 20 for one body of 20 joints
    """
    bodies = read_ucla_file(path)  # (T, 1, 20, 3)
    if joints == KINECT_V2.num_joints:
        bodies = bodies[:, :, KINECT_V1_AS_V2]
    _, description = DATASETS[joints]
    return prepare_clip(bodies, description.layout)


if __name__ == "__main__":
    run(main)
