"""Prepare your own recordings: from `.skeleton` files or arrays to one store.

    python data_gen/own_gendata.py --name gestures --clips clips.csv

clips.csv has one line for each recording: file,label,subject,split. All its columns are described
in data_gen/readers/clip_table.py, and the files in data_gen/readers/array_file.py.
"""

import argparse
import json
import re
import signal
import sys
from collections.abc import Iterable
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from data_gen.preparing import commands, gendata  # noqa: E402
from data_gen.preparing.clip import prepare_clip  # noqa: E402
from data_gen.preparing.flags import Parser, text, whole_number  # noqa: E402
from data_gen.preparing.parallel import ordered_map  # noqa: E402
from data_gen.preparing.report import LeftOut, progress  # noqa: E402
from data_gen.preparing.store import StoreWriter  # noqa: E402
from data_gen.readers.array_file import (  # noqa: E402
    MAX_BODIES,
    UNITS,
    ArrayFileError,
    read_bodies,
)
from data_gen.readers.clip_table import Clip, ClipTable, read_clip_table  # noqa: E402
from data_gen.readers.raw_folders import SYNTHETIC_MARK, RawDataError  # noqa: E402
from feeder.datasets.known import KNOWN  # noqa: E402
from feeder.description import Description, Split  # noqa: E402
from feeder.skeletons import (  # noqa: E402
    BUILT_IN,
    DescriptionError,
    Layout,
    Skeleton,
)

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


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser("From your own recordings to a store for training.")
    add = parser.add_argument
    add("--name", type=store_name, required=True, help="name of the store and of its folder")
    add("--clips", type=Path, required=True, metavar="FILE.csv",
        help="table of the recordings: file,label,subject,split")  # fmt: skip
    add("--data_path", type=Path, metavar="DIR",
        help="folder in which the table's files are (default: the table's own)")  # fmt: skip
    add("--skeleton", type=skeleton, default="kinect_v2", metavar="NAME",
        help=f"skeleton of arrays: {', '.join(BUILT_IN)}, or a .json file")  # fmt: skip
    add("--bodies", type=whole_number(1, MAX_BODIES), default=2,
        help="number of bodies kept in a clip; those that move most are kept")  # fmt: skip
    add("--unit", choices=UNITS, default="m", help="unit of the coordinates in arrays")
    add("--splits", nargs="+", type=text, default=[], metavar="COLUMN",
        help="columns that hold train or test (split, cross_subject, ...)")  # fmt: skip
    add("--title", type=text, help="the data set's title for readers (default: the name)")
    gendata.add_flags(parser, "DIR/NAME")
    return parser.parse_args(argv)


def prepare(args: argparse.Namespace) -> None:
    """Write the store; print what it holds and what was left out."""
    folder = args.data_path or args.clips.parent
    table = read_clip_table(args.clips, folder, args.splits)
    layout = Layout(args.skeleton, args.bodies)
    description = describe(args.name, args.title, table, layout, folder)
    read = partial(read_clip, layout=layout, unit=UNITS[args.unit])
    left_out = LeftOut(args.strict)
    paths = [clip.path for clip in table.clips]
    with (
        StoreWriter(args.out_folder / args.name, description) as store,
        closing(ordered_map(read, paths, args.workers)) as arrays,
    ):
        training = fill(store, table.clips, progress(arrays, len(paths)), left_out)
        left_out.print()
        if not store.clips:
            raise RawDataError(f"{args.clips} names no clip of {folder}, so no store was written")
        store.commit()
    print(
        f"{args.name}: {store.clips} clips of {len(table.classes)} classes, {layout}, "
        f"{store.frames} frames in {store.folder} ({description.title})"
    )
    if table.numbered:
        print(f"  numbered in alphabetical order: {', '.join(table.numbered)}")
    for split, count in zip(table.splits, training.tolist(), strict=True):
        print(f"  {split}: {count} training and {store.clips - count} test clips")
    batch = "--batch-size", str(batch_size(int(training[0])))
    print(f"next: {commands.pretraining(store.folder, table.splits[0], *batch)}")


def describe(
    name: str, title: str | None, table: ClipTable, layout: Layout, folder: Path
) -> Description:
    """The description of the store.

    name, title: the store's name, and its title or None
    table: the table of the recordings
    layout: how many bodies are kept, and their skeleton
    folder: the folder of the files; synthetic recordings are marked there
    Raises RawDataError if the name of a split cannot be that of a column.
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
        raise RawDataError(str(error)) from None


def read_clip(path: Path, layout: Layout, unit: float) -> np.ndarray | str | None:
    """The clip (T, M, V, 3) float32; None if it has no body; a message for a malformed file.

    layout: how many bodies are kept, and their skeleton
    unit: the unit of the coordinates in an array, in metres
    """
    try:
        return prepare_clip(read_bodies(path, layout.skeleton, unit), layout)
    except ArrayFileError as error:
        return str(error)


def fill(
    store: StoreWriter,
    clips: list[Clip],
    arrays: Iterable[np.ndarray | str | None],
    left_out: LeftOut,
) -> np.ndarray:
    """Write the clips to the store.

    clips, arrays: the clips, and what `read_clip` returned for them
    left_out: takes the clips that cannot be written
    Returns the number of training clips of each split.
    """
    total = np.zeros(len(clips[0].training), int)
    for clip, array in zip(clips, arrays, strict=True):
        if isinstance(array, str):
            left_out.add_malformed(array)
        elif array is None:
            left_out.bodiless.append(clip.name)
        else:
            store.add(clip.name, clip.fields, array, clip.training)
            total += clip.training
    return total


def batch_size(training: int) -> int:
    """A batch size with which an epoch has LEAST_STEPS steps: a power of two, at most 1024.

    training: the number of training clips
    """
    return min(1024, 2 ** max(1, (training // LEAST_STEPS).bit_length() - 1))


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return gendata.run(prepare, parse_args(argv))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated; no store was written"))
    sys.exit(main())
