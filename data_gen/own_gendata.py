"""Prepare your own recordings: from `.skeleton` files or arrays to one store.

    python data_gen/own_gendata.py --name gestures --clips clips.csv

clips.csv has one line for each recording: file,label,subject,split. All its columns are described
in data_gen/readers/clip_table.py, and the files in data_gen/readers/array_file.py.
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from common import UserError, run  # noqa: E402
from data_gen.clip import prepare_clip  # noqa: E402
from data_gen.gendata import Report, add_flags, print_next, print_store, read_all  # noqa: E402
from data_gen.readers.array_file import MAX_BODIES, UNITS, read_bodies  # noqa: E402
from data_gen.readers.clip_table import ClipTable, read_clip_table  # noqa: E402
from data_gen.readers.raw_folders import SYNTHETIC_MARK  # noqa: E402
from data_gen.writer import StoreWriter  # noqa: E402
from feeder.datasets.known import KNOWN  # noqa: E402
from feeder.description import Description, Split  # noqa: E402
from feeder.skeletons import BUILT_IN, DescriptionError, Layout, Skeleton  # noqa: E402

LEAST_STEPS = 8  # steps in an epoch with the batch size that the command proposes


def store_name(value: str) -> str:
    """An argparse type: the name of a store, which is not that of a known data set."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", value):
        raise argparse.ArgumentTypeError(f"{value[:20]!r} is not 1 to 64 letters, digits, _ and -")
    if value in KNOWN:
        raise argparse.ArgumentTypeError(f"{value} is the name of {KNOWN[value].title}")
    return value


def skeleton(value: str) -> Skeleton:
    """An argparse type: the name of a built-in skeleton, or a JSON file that describes one."""
    if value in BUILT_IN:
        return BUILT_IN[value]
    if not value.endswith(".json"):
        names = ", ".join(BUILT_IN)
        raise argparse.ArgumentTypeError(f"{value[:40]!r} is neither {names} nor a .json file")
    try:
        return Skeleton.from_plain(json.loads(Path(value).read_text(encoding="utf-8")))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{value}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError, DescriptionError) as error:
        raise argparse.ArgumentTypeError(f"{value}: {str(error)[:200]}") from None


# fmt: off
def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="From your own recordings to a store for training.", allow_abbrev=False
    )
    add = parser.add_argument
    add("--name", type=store_name, required=True, help="name of the store and of its folder")
    add("--clips", type=Path, required=True, metavar="FILE.csv",
        help="table of the recordings: file,label,subject,split")
    add("--data_path", type=Path, metavar="DIR",
        help="folder in which the table's files are (default: the table's own)")
    add("--skeleton", type=skeleton, default="kinect_v2", metavar="NAME",
        help=f"skeleton of arrays: {', '.join(BUILT_IN)}, or a .json file")
    add("--bodies", type=int, choices=range(1, MAX_BODIES + 1), default=2, metavar="N",
        help="number of bodies kept in a clip; those that move most are kept")
    add("--unit", choices=UNITS, default="m", help="unit of the coordinates in arrays")
    add("--splits", nargs="+", default=[], metavar="COLUMN",
        help="columns that hold train or test (split, cross_subject, ...)")
    add("--title", help="the data set's title for readers (default: the name)")
    add_flags(parser, "DIR/NAME")
    return parser.parse_args(argv)
# fmt: on


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    report = Report(args.strict)
    folder = args.data_path or args.clips.parent
    table = read_clip_table(args.clips, folder, args.splits)
    layout = Layout(args.skeleton, args.bodies)
    description = describe(args.name, args.title, table, layout, folder)
    read = partial(read_clip, layout=layout, unit=UNITS[args.unit])
    clips = {clip.path: clip for clip in table.clips}
    with StoreWriter(args.out_folder / args.name, description) as store:
        for path, joints in read_all(read, list(clips), args.workers, report):
            clip = clips[path]
            store.add(clip.name, clip.fields, joints, clip.training)
        report.print()
        if not store.clips:
            raise UserError(f"{args.clips} names no clip of {folder}, so no store was written")
        store.commit()
    print_store(store)
    print(f"  {len(table.classes)} classes, {layout}")
    if table.numbered:
        print(f"  numbered in alphabetical order: {', '.join(table.numbered)}")
    training, _ = store.split_counts()[table.splits[0]]
    flags = f"--pre-dataset {args.name} --protocol {table.splits[0]}"
    print_next(store, args.name, f"{flags} --batch-size {batch_size(training)}")


def describe(
    name: str, title: str | None, table: ClipTable, layout: Layout, folder: Path
) -> Description:
    """The description of the store.

    name, title: the store's name, and its title or None
    table: the table of the recordings
    layout: how many bodies are kept, and their skeleton
    folder: the folder of the files; synthetic recordings are marked there
    Raises UserError if the name of a split cannot be that of a column.
    """
    kinds = sorted({clip.path.suffix for clip in table.clips})
    is_synthetic = (folder / SYNTHETIC_MARK).is_file()
    try:
        return Description(
            title or ("synthetic recordings" if is_synthetic else name),
            layout,
            table.classes,
            {split: Split(split) for split in table.splits},
            f"{'synthetic' if is_synthetic else 'own'} recordings, {' and '.join(kinds)} files",
            f"python data_gen/own_gendata.py --name {name}",
        )
    except DescriptionError as error:
        raise UserError(str(error)) from None


def read_clip(path: Path, layout: Layout, unit: float) -> np.ndarray | None:
    """The clip (T, M, V, 3) float32; None if it has no body. Raises UserError if malformed.

    layout: how many bodies are kept, and their skeleton
    unit: the unit of the coordinates in an array, in metres
    """
    return prepare_clip(read_bodies(path, layout.skeleton, unit), layout)


def batch_size(training: int) -> int:
    """A batch size with which an epoch has LEAST_STEPS steps: a power of two, at most 1024.

    training: the number of training clips
    """
    return min(1024, 2 ** max(1, (training // LEAST_STEPS).bit_length() - 1))


if __name__ == "__main__":
    run(main)
