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
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from common import UserError, run  # noqa: E402
from data_gen.clip import require_metres  # noqa: E402
from data_gen.gendata import (  # noqa: E402
    DATA,
    Report,
    add_flags,
    ordered_map,
    print_next,
    print_store,
)
from data_gen.readers.pku import (  # noqa: E402
    NAME,
    Action,
    clip_name,
    cut_clip,
    read_actions,
    read_split,
    read_video,
    sample_fields,
)
from data_gen.writer import StoreWriter  # noqa: E402
from feeder.datasets.pku import DATASETS  # noqa: E402

SUFFIX = ".txt"
PLACES = ("", "*/", "*/*/")  # where an archive may lie in --data_path


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


# fmt: off
def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="From raw recordings of PKU-MMD to a store for training. An action is the "
        "frames from the label's first to the label's last frame, both included, counted from 0.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--dataset", choices=DATASETS, required=True, help="phase I or II")
    add("--data_path", type=Path, metavar="DIR",
        help="folder of the unpacked archives: videos, labels and the lists of training videos "
        "(default: data/DATASET_raw)")
    add_flags(parser, "DIR/DATASET")
    args = parser.parse_args(argv)
    args.data_path = args.data_path or DATA / f"{args.dataset}_raw"
    return args
# fmt: on


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    report = Report(args.strict)
    description = DATASETS[args.dataset]
    splits = {p: find_split(args.data_path, args.dataset, p) for p in description.splits}
    videos = find_videos(args.data_path, splits, report)
    with StoreWriter(args.out_folder / args.dataset, description) as store:
        results = ordered_map(read_clips, videos, args.workers)
        results = tqdm(results, total=len(videos), unit="video", disable=None)
        for video, clips in zip(videos, results, strict=True):
            training = tuple(split[video.name] for split in splits.values())
            for clip in clips:
                if isinstance(clip, UserError):
                    report.malformed(str(clip))
                elif clip.joints is None:
                    report.note("left out, without any body", clip.name)
                else:
                    if clip.cut:
                        report.note("cut where the video ends", clip.name)
                    store.add(clip.name, clip.fields, clip.joints, training)
        report.print()
        if not store.clips:
            raise UserError(f"no clip in {args.data_path}, so no store was written")
        store.commit()
    print_store(store)
    flags = f"--pre-dataset {args.dataset} --protocol cross_subject"
    print_next(store, f"{args.dataset}_xsub", flags)


def find_split(folder: Path, dataset: str, protocol: str) -> dict[str, int]:
    """Find and read the list of a protocol: {name of a video: 1 for training, else 0}.

    folder: the folder of the unpacked archives
    dataset: "pkummd1" or "pkummd2"
    Raises UserError if the folder holds no list of the protocol.
    """
    name = protocol + ("_v2" if dataset == "pkummd2" else "") + SUFFIX
    found = find(folder, name.replace("_", "[-_]"))
    if not found:
        raise UserError(
            f"{folder / name} is missing: unpack PKU-MMD there, from "
            "https://struct002.github.io/PKUMMD/, or name its folder with --data_path"
        )
    return read_split(found[0])


def find_videos(folder: Path, splits: dict[str, dict[str, int]], report: Report) -> list[Video]:
    """The videos that have labels and are in every split, sorted by name.

    folder: the folder of the unpacked archives
    splits: {protocol: {name of a video: 1 for training, else 0}}
    report: takes the videos that are left out
    """
    skeletons, labels = (find_folder(folder, kind) for kind in ("skeleton", "label"))
    videos = []
    for path in sorted(skeletons.glob(f"[!.]*{SUFFIX}"), key=lambda path: path.stem):
        video = Video(path.stem, path, labels / path.name)
        if not NAME.fullmatch(video.name):
            report.note("left out, no name like 0002-L or A01N01-L", video.name)
        elif not video.label.is_file():
            report.note("left out, without a label file", video.name)
        elif not all(video.name in split for split in splits.values()):
            report.note("left out, in no half of a split", video.name)
        else:
            videos.append(video)
    return videos


def find_folder(folder: Path, kind: str) -> Path:
    """Find a folder whose name contains `kind` and that holds files with names of videos.

    folder: where to search, up to two folders deeper
    kind: "skeleton" or "label"
    Raises UserError unless there is exactly one.
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
        raise UserError(
            f"{folder}: needs one folder whose name contains {kind!r}, with files like "
            f"0002-L.txt or A01N01-L.txt; there is {names}"
        )
    return found[0]


def find(folder: Path, pattern: str) -> list[Path]:
    """The paths that match a pattern in a folder or up to two folders deeper, sorted."""
    return sorted(path for place in PLACES for path in folder.glob(place + pattern))


def read_clips(video: Video) -> list[Clip | UserError]:
    """The clips of a video, sorted by name; a fault in the place of each malformed one."""
    try:
        actions, bodies = read_actions(video.label), read_video(video.skeleton)
    except (UserError, OSError) as error:
        return [UserError(str(error))]
    clips: list[Clip | UserError] = []
    for action in actions:
        try:
            clips.append(cut(video, bodies, action))
        except UserError as fault:
            clips.append(fault)
    return clips


def cut(video: Video, bodies: np.ndarray, action: Action | UserError) -> Clip:
    """The clip of an action. Raises UserError if its label is malformed.

    bodies: (T, 2, 25, 3), metres, the whole video
    """
    if isinstance(action, UserError):
        raise action
    if action.start >= len(bodies):
        raise UserError(
            f"{video.label.name}, line {action.line}: the action begins at frame {action.start}, "
            f"the video has only {len(bodies)} frames"
        )
    name, joints = clip_name(video.name, action), cut_clip(bodies, action)
    if joints is not None:
        require_metres(name, joints)
    fields, is_cut = sample_fields(video.name, action), action.end >= len(bodies)
    return Clip(name, fields, joints, is_cut)


if __name__ == "__main__":
    run(main)
