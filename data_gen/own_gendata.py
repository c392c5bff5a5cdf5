"""Prepare your own recordings: from raw files, arrays or JSON files to one store.

    python data_gen/own_gendata.py --name gestures --clips clips.csv

readers/clip_table.py describes the table, readers/recording.py the formats of the files.
"""

import argparse
import json
import re
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import run
from data_gen.clip import prepare_upright
from data_gen.gendata import Report, add_flags, print_next, print_store, read_all, skeleton
from data_gen.readers import recording
from data_gen.readers.clip_table import SPLITS, all_recordings, read_clip_table
from data_gen.readers.recording import MAX_BODIES, Reading, check_axes, is_pose_json, read_recording
from data_gen.readers.skeleton_file import SYNTHETIC_MARK
from data_gen.writer import StoreWriter
from feeder.datasets import KNOWN, UCLA
from feeder.description import UNLABELED, Description, Split
from feeder.skeletons import BUILT_IN, Layout

LEAST_STEPS = 8  # steps in an epoch with the batch size that the command proposes


def store_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", value):
        raise argparse.ArgumentTypeError(f"{value[:20]!r} is not 1 to 64 letters, digits, _ and -")
    if known := (KNOWN | {"nwucla": UCLA}).get(value):
        raise argparse.ArgumentTypeError(f"{value} is the name of {known.title}")
    return value


class PrintSkeleton(argparse.Action):
    """Print a built-in skeleton as the JSON that --skeleton FILE.json reads, and exit."""

    def __call__(self, parser, namespace, values, option_string=None):
        lines = (f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in values.to_plain().items())
        print("{\n" + ",\n".join(lines) + "\n}")
        parser.exit()


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add, number = parser.add_argument, partial(parser.add_argument, type=int, metavar="N")
    add("--name", type=store_name, required=True, help="name of the store and of its folder")
    table = "table of the recordings: file,label,subject,split; or a folder, without labels"
    add("--clips", type=Path, required=True, metavar="FILE.csv", help=table)
    add("--data_path", type=Path, metavar="DIR", help="where the table's paths begin (its folder)")
    splits = f"columns that hold train, val or test (default: {', '.join(SPLITS)})"
    add("--splits", nargs="+", default=[], metavar="COLUMN", help=splits)
    add("--title", help="the data set's title for readers (the name)")
    bodies = "bodies in a clip: those that move most (2)"
    number("--bodies", choices=range(1, MAX_BODIES + 1), default=2, help=bodies)
    add_flags(parser, "DIR/NAME")
    usual = "(default: y-up, xyz, m; of JSON files y-down, xyc, px)"
    recording.add_flags(parser, f"what the files hold {usual}")
    add_skeleton = partial(parser.add_argument, type=skeleton, metavar="NAME")
    layouts = f"of the files: {', '.join(BUILT_IN)}, or a .json"
    add_skeleton("--skeleton", default="kinect_v2", help=layouts)
    add_skeleton("--print-skeleton", action=PrintSkeleton, help="print a skeleton as JSON and exit")
    add_skeleton("--joints", help="skeleton of the store; joints are taken by name (the files')")
    confidence = "joints below this confidence are missing (0.1)"
    add("--min-confidence", type=float, metavar="C", help=confidence)
    number("--fill-gaps", default=0, help="interpolate joints over gaps of at most N frames (0)")
    args = parser.parse_args(argv)
    if args.clips.is_dir() and (args.data_path or args.splits):
        parser.error("--data_path and --splits are for a table, --clips is a folder")
    if args.min_confidence is not None and args.channels in ("xyz", "xy"):
        parser.error(f"--min-confidence has no effect with --channels {args.channels}")
    if args.channels in ("xy", "xyc") and args.axes == "z-up":
        parser.error(f"--axes z-up is for three coordinates, not --channels {args.channels}")
    if args.unit == "px" and args.channels in ("xyz", "xyzc"):
        parser.error("--unit px is for --channels xy or xyc")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    report = Report(args.strict)
    if args.clips.is_dir():
        folder, table = args.clips, all_recordings(args.clips)
    else:
        folder = args.data_path or args.clips.parent
        table = read_clip_table(args.clips, folder, args.splits)
    clips = {clip.path: clip for clip in table.clips}
    layout = Layout(args.joints or args.skeleton, args.bodies)
    confidence = 0.1 if args.min_confidence is None else args.min_confidence
    options = (args.axes, args.channels, args.unit, confidence, args.fill_gaps)
    reading = Reading(layout, args.skeleton, *options)
    kinds = sorted({path.suffix or "JSON" for path in clips})
    is_synthetic = (folder / SYNTHETIC_MARK).is_file()
    description = Description(
        title=args.title or ("synthetic recordings" if is_synthetic else args.name),
        layout=layout,
        classes=table.classes,
        splits={split: Split(split) for split in table.splits},
        origin=f"{'synthetic' if is_synthetic else 'own'} recordings, {' and '.join(kinds)} files",
        command=f"python data_gen/own_gendata.py --name {args.name}",
        alignment=reading.alignment,
        reading=reading.with_defaults(is_pose_json(table.clips[0].path)).to_plain(),
    )
    ups = []
    with StoreWriter(args.out_folder / args.name, description) as store:
        read = partial(read_clip, reading=reading)
        for path, (joints, up, notes) in read_all(read, list(clips), args.workers, report):
            clip = clips[path]
            store.add(clip.name, clip.fields, joints, clip.training)
            ups.append(up)
            for note in notes:
                report.note(note, clip.name)
        report.print()
        check_axes(ups, args.axes)
        store.commit()
    print_store(store)
    classes = "no labels" if table.classes == UNLABELED else f"{len(table.classes)} classes"
    print(f"  {classes}, {layout}", *table.notes, sep="\n  ")
    training, _ = store.split_counts()[table.splits[0]]
    batch_size = min(1024, 2 ** max(1, (training // LEAST_STEPS).bit_length() - 1))
    flags = f"--pre-dataset {args.name} --protocol {table.splits[0]} --batch-size {batch_size}"
    print_next(store, args.name, flags)


def read_clip(path: Path, reading: Reading) -> tuple | None:
    return prepare_upright(read_recording(path, reading), reading.layout, reading.fill_gaps)


if __name__ == "__main__":
    run(main)
