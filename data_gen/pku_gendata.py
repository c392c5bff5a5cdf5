"""Prepare PKU-MMD I or II: from long recordings to one store of the actions in them.

    python data_gen/pku_gendata.py --dataset pkummd2 --data_path DIR

DIR holds the unpacked archives as they were released:
- a folder of videos, whose name contains "skeleton" (PKU_Skeleton_Renew, skeleton)
- a folder of labels, whose name contains "label" (Train_Label_PKU_final, label)
- the lists of training videos: cross-subject.txt and cross-view.txt of phase I,
  cross_subject_v2.txt and cross_view_v2.txt of phase II, with a hyphen or an underscore
Each may lie in DIR or up to two folders deeper (Data, Label, Split).
"""

import argparse
import signal
import sys
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from data_gen.preparing import commands, gendata  # noqa: E402
from data_gen.preparing.flags import Parser  # noqa: E402
from data_gen.preparing.parallel import ordered_map  # noqa: E402
from data_gen.preparing.report import progress  # noqa: E402
from data_gen.preparing.store import StoreWriter  # noqa: E402
from data_gen.readers.pku import (  # noqa: E402
    NAME,
    Action,
    PkuFileError,
    clip_name,
    cut_clip,
    read_actions,
    read_split,
    read_video,
    sample_fields,
)
from data_gen.readers.raw_folders import RawDataError  # noqa: E402
from feeder.datasets.pku import DATASETS  # noqa: E402

SUFFIX = ".txt"
PLACES = ("", "*/", "*/*/")  # where an archive may lie in --data_path
MALFORMED = "left out, malformed"


class Video(NamedTuple):
    """The raw files of a video: its skeletons and its labels."""

    name: str
    skeleton: Path
    label: Path


class Clip(NamedTuple):
    """An action in a video, as a clip."""

    name: str
    fields: tuple[int, int, int, int, int]  # setup, camera, subject, replication, action
    joints: np.ndarray | None  # (T, 2, 25, 3) float32; None if it has no body
    cut: bool  # whether the label ends after the video


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(
        description="From raw recordings of PKU-MMD to a store for training. An action is the "
        "frames from the label's first to the label's last frame, both included, counted from 0."
    )
    parser.add_argument("--dataset", choices=DATASETS, required=True, help="phase I or II")
    parser.add_argument(
        "--data_path",
        type=Path,
        metavar="DIR",
        help="folder of the unpacked archives: videos, labels and the lists of training videos "
        "(default: data/DATASET_raw)",
    )
    gendata.add_flags(parser, "DIR/DATASET")
    args = parser.parse_args(argv)
    args.data_path = args.data_path or gendata.DATA / f"{args.dataset}_raw"
    return args


def prepare(args: argparse.Namespace) -> None:
    """Write the store; print what it holds and what was left out."""
    description = DATASETS[args.dataset]
    splits = {p: find_split(args.data_path, args.dataset, p) for p in description.splits}
    notes = defaultdict(list)
    videos = find_videos(args.data_path, splits, notes)
    with (
        StoreWriter(args.out_folder / args.dataset, description) as store,
        closing(ordered_map(read_clips, videos, args.workers)) as results,
    ):
        results = zip(videos, progress(results, len(videos)), strict=True)
        training = fill(store, splits, results, notes)
        for note, names in notes.items():
            print(f"{note}: {len(names)}", *names, sep="\n  ")
        if args.strict and MALFORMED in notes:
            raise RawDataError("there are malformed files, so no store was written (--strict)")
        if not store.clips:
            raise RawDataError(f"no clip in {args.data_path}, so no store was written")
        store.commit()
    print(f"{args.dataset}: {store.clips} clips, {store.frames} frames in {store.folder}")
    for protocol, count in zip(splits, training, strict=True):
        print(f"  {protocol}: {count} training and {store.clips - count} test clips")
    print(f"next: {commands.pretraining(store.folder, next(iter(splits)))}")


def fill(
    store: StoreWriter,
    splits: dict[str, dict[str, int]],
    results: Iterable[tuple[Video, list[Clip | str]]],
    notes: dict[str, list[str]],
) -> np.ndarray:
    """Write the clips of all videos to the store.

    splits: {protocol: {name of a video: 1 for training, else 0}}
    results: videos, and what `read_clips` returned for them
    notes: {what is to be printed: names of clips}; this function adds to it
    Returns the number of training clips of each protocol.
    """
    total = np.zeros(len(splits), int)
    for video, clips in results:
        training = tuple(split[video.name] for split in splits.values())
        for clip in clips:
            if isinstance(clip, str):
                notes[MALFORMED].append(clip)
            elif clip.joints is None:
                notes["left out, without any body"].append(clip.name)
            else:
                if clip.cut:
                    notes["cut where the video ends"].append(clip.name)
                store.add(clip.name, clip.fields, clip.joints, training)
                total += training
    return total


def find_split(folder: Path, dataset: str, protocol: str) -> dict[str, int]:
    """Find and read the list of a protocol: {name of a video: 1 for training, else 0}.

    folder: the folder of the unpacked archives
    dataset: "pkummd1" or "pkummd2"
    Raises RawDataError if the folder holds no list of the protocol.
    """
    name = protocol + ("_v2" if dataset == "pkummd2" else "") + SUFFIX
    found = find(folder, name.replace("_", "[-_]"))
    if not found:
        raise RawDataError(
            f"{folder / name} is missing: unpack PKU-MMD there, from "
            "https://struct002.github.io/PKUMMD/, or name its folder with --data_path"
        )
    return read_split(found[0])


def find_videos(
    folder: Path, splits: dict[str, dict[str, int]], notes: dict[str, list[str]]
) -> list[Video]:
    """The videos that have labels and are in every split, sorted by name.

    folder: the folder of the unpacked archives
    splits: {protocol: {name of a video: 1 for training, else 0}}
    notes: {what is to be printed: names}; this function adds the videos that are left out
    """
    skeletons, labels = (find_folder(folder, kind) for kind in ("skeleton", "label"))
    videos = []
    for path in sorted(skeletons.glob(f"*{SUFFIX}"), key=lambda path: path.stem):
        video = Video(path.stem, path, labels / path.name)
        if not NAME.fullmatch(video.name):
            notes["left out, no name like 0002-L or A01N01-L"].append(video.name)
        elif not video.label.is_file():
            notes["left out, without a label file"].append(video.name)
        elif not all(video.name in split for split in splits.values()):
            notes["left out, in no half of a split"].append(video.name)
        else:
            videos.append(video)
    return videos


def find_folder(folder: Path, kind: str) -> Path:
    """Find a folder whose name contains `kind` and that holds files with names of videos.

    folder: where to search, up to two folders deeper
    kind: "skeleton" or "label"
    Raises RawDataError unless there is exactly one.
    """
    found = [
        place
        for place in find(folder, "*")
        if place.is_dir()
        and kind in place.name.lower()
        and any(NAME.fullmatch(path.stem) for path in place.glob(f"*{SUFFIX}"))
    ]
    if len(found) != 1:
        names = " and ".join(str(place.relative_to(folder)) for place in found) or "none"
        raise RawDataError(
            f"{folder}: needs one folder whose name contains {kind!r}, with files like "
            f"0002-L.txt or A01N01-L.txt; there is {names}"
        )
    return found[0]


def find(folder: Path, pattern: str) -> list[Path]:
    """The paths that match a pattern in a folder or up to two folders deeper, sorted."""
    return sorted(path for place in PLACES for path in folder.glob(place + pattern))


def read_clips(video: Video) -> list[Clip | str]:
    """The clips of a video, sorted by name; a message in the place of each malformed one."""
    try:
        actions, bodies = read_actions(video.label), read_video(video.skeleton)
    except PkuFileError as error:
        return [str(error)]
    return [x if isinstance(x, str) else read_clip(video, bodies, x) for x in actions]


def read_clip(video: Video, bodies: np.ndarray, action: Action) -> Clip | str:
    """The clip of an action, or a message if its label is malformed.

    bodies: (T, 2, 25, 3), metres, the whole video
    """
    try:
        joints = cut_clip(bodies, action)
    except PkuFileError as error:
        return f"{video.label.name}, {error}"
    fields, cut = sample_fields(video.name, action), action.end >= len(bodies)
    return Clip(clip_name(video.name, action), fields, joints, cut)


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return gendata.run(prepare, parse_args(argv))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated; no store was written"))
    sys.exit(main())
