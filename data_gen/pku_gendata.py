"""Prepare PKU-MMD I or II: from long recordings to one store of the actions in them.

    python data_gen/pku_gendata.py --dataset pkummd2 --data_path DIR

DIR holds the unpacked archives as they were released, each up to two folders deeper:
- a folder of videos, whose name contains "skeleton" (PKU_Skeleton_Renew, skeleton): a file has a
  line for each frame, with 150 numbers: two bodies of 25 joints with x y z in metres; an absent
  body is zeros
- a folder of labels, whose name contains "label" (Train_Label_PKU_final, label): a file has a line
  for each action: class (from 1), first frame, last frame, confidence
- the lists of training videos: cross-subject.txt and cross-view.txt of phase I,
  cross_subject_v2.txt and cross_view_v2.txt of phase II, with a hyphen or an underscore
A video is named like 0002-L in phase I, like A01N01-L (scene and subject) in phase II; L, M or R is
its view.

This reader was written from descriptions of the format and from public readers, without a raw file.
It assumes that frames count from 0 and that an action's last frame belongs to it.
"""

import argparse
import re
import sys
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import UserError, run
from data_gen.clip import prepare_clip
from data_gen.gendata import DATA, Report, add_flags, print_next, print_store, read_all
from data_gen.writer import StoreWriter
from feeder.datasets import PKU_ACTIONS, PKU_DATASETS
from feeder.skeletons import NTU, require_metres

NAME = re.compile(r"(?:A([0-9]{1,3})N([0-9]{1,3})|([0-9]{1,6}))-([LMR])")
ACTION = re.compile(r"\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*,[^,]*")
# The released lists contain the misspelling "Validataion videos:".
HEADING = re.compile(r"\s*(train|valid)[a-z]*\s+videos?\s*:?", re.IGNORECASE)
CAMERAS = {"L": 1, "M": 2, "R": 3}


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--dataset", choices=PKU_DATASETS, required=True, help="phase I or II")
    folder = "folder of the unpacked archives (default: data/DATASET_raw)"
    add("--data_path", type=Path, metavar="DIR", help=folder)
    add_flags(parser, "DIR/DATASET")
    args = parser.parse_args(argv)
    args.data_path = args.data_path or DATA / f"{args.dataset}_raw"
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    report = Report(args.strict)
    description = PKU_DATASETS[args.dataset]
    splits = [find_split(args.data_path, args.dataset, p) for p in description.splits]
    skeletons, labels = (find_folder(args.data_path, kind) for kind in ("skeleton", "label"))
    videos = []
    for path in sorted(skeletons.glob("[!.]*.txt"), key=lambda path: path.stem):
        if not NAME.fullmatch(path.stem):
            report.note("left out, no name like 0002-L or A01N01-L", path.stem)
        elif not (labels / path.name).is_file():
            report.note("left out, without a label file", path.stem)
        elif not all(path.stem in split for split in splits):
            report.note("left out, neither training nor test video", path.stem)
        else:
            videos.append(path)
    with StoreWriter(args.out_folder / args.dataset, description) as store:
        read = partial(read_actions, labels=labels)
        for path, actions in read_all(read, videos, args.workers, report):
            for name, fields, clip, is_cut in actions:
                if isinstance(clip, UserError):
                    report.malformed(clip)
                elif clip is None:
                    report.note("left out, without any body", name)
                else:
                    if is_cut:
                        report.note("cut where the video ends", name)
                    store.add(name, fields, clip, tuple(split[path.stem] for split in splits))
        report.print()
        store.commit()
    print_store(store)
    flags = f"--pre-dataset {args.dataset} --protocol cross_subject"
    print_next(store, f"{args.dataset}_xsub", flags)


def find_split(folder: Path, dataset: str, protocol: str) -> dict[str, int]:
    name = f"{protocol}{'_v2' if dataset == 'pkummd2' else ''}.txt"
    found = find(folder, name.replace("_", "[-_]"))
    if not found:
        fix = "unpack https://struct002.github.io/PKUMMD/ there, or name its --data_path"
        raise UserError(f"{folder / name} is missing: {fix}")
    return read_split(found[0])


def find_folder(folder: Path, kind: str) -> Path:
    # The one folder with files of videos and with "skeleton" or "label" in its name.
    found = [
        place
        for place in find(folder, "*")
        if kind in place.name.lower() and any(NAME.fullmatch(p.stem) for p in place.glob("*.txt"))
    ]
    if len(found) != 1:
        names = " and ".join(str(place.relative_to(folder)) for place in found) or "none"
        needed = f"one folder whose name contains {kind!r}, with files like 0002-L or A01N01-L.txt"
        raise UserError(f"{folder}: needs {needed}; there is {names}")
    return found[0]


def find(folder: Path, pattern: str) -> list[Path]:
    """The paths that match a pattern in a folder or up to two folders deeper, sorted."""
    return sorted(path for place in ("", "*/", "*/*/") for path in folder.glob(place + pattern))


def read_split(path: Path) -> dict[str, int]:
    """Read a list of training and validation videos: {name of a video: 1 for training, else 0}."""
    parts: dict[str, list[str]] = {"train": [], "valid": []}  # by the beginning of a heading
    part = None
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        if heading := HEADING.match(line):
            part = parts[heading[1].lower()]
            line = line[heading.end() :]
        for word in line.replace(",", " ").split():
            if part is None or not NAME.fullmatch(word):
                fault = "neither 'Training videos:' nor the name of a video below such a heading"
                raise UserError(f"{path.name}, line {number}: {word[:40]!r} is {fault}")
            part.append(word)
    train, test = parts.values()
    if both := set(train) & set(test):
        raise UserError(f"{path.name}: {min(both)} is a training and a validation video")
    if not train or not test:
        raise UserError(f"{path.name}: no training or no validation video")
    return dict.fromkeys(train, 1) | dict.fromkeys(test, 0)


def read_actions(path: Path, labels: Path) -> list[tuple]:
    """The actions in a video, in order: (name, fields, clip, whether it ends after the video).

    The clip is (T, 2, 25, 3) float32, with the bodies in their order; None if nobody is there; a
    UserError for a malformed label. A name is like 0002-LN007A012: line 7 of the labels, the
    replication, and class 12. The setup is the scene; the names of phase I give neither scene nor
    person, so there the setup is 1 and the subject is the number of the video.
    """
    video = read_video(path)
    scene, person, video_number, view = NAME.fullmatch(path.stem).groups()
    # A store counts from 1.
    setup, subject = max(1, int(scene or 1)), max(1, int(person or video_number))
    text = (labels / path.name).read_text(encoding="utf-8-sig", errors="replace")
    actions = []
    for number, line in enumerate(text.splitlines(), 1):
        match = ACTION.fullmatch(line)
        action, start, end = map(int, match.groups()) if match else (0, 0, 0)
        is_known = 0 < action <= len(PKU_ACTIONS) and number < 1000
        if is_known and start <= end and start < len(video):
            clip = prepare_clip(video[start : end + 1], by_energy=False)
        elif line.strip():
            fault = f"{line[:40]!r} is not class (1 to {len(PKU_ACTIONS)}), start, end, confidence"
            fault += f" in a video of {len(video)} frames"
            clip = UserError(f"{path.name}, line {number}: {fault}")
        else:
            continue
        fields = setup, CAMERAS[view], subject, number, action
        name = f"{path.stem}N{number:03d}A{action:03d}"
        actions.append((name, fields, clip, end >= len(video)))
    return actions


def read_video(path: Path) -> np.ndarray:
    """Read the bodies of a video: (T, 2, 25, 3) float64, metres."""
    if not path.stat().st_size:
        raise UserError(f"{path.name}: the file is empty")
    try:
        values = np.loadtxt(path, ndmin=2, comments=None, encoding="ascii")
    except ValueError as error:
        reason = str(error).splitlines()[0].partition(";")[0]  # then come hints on numpy's flags
        raise UserError(f"{path.name}: {reason}") from None
    if values.shape[1] != NTU.frame_size:
        raise UserError(f"{path.name}: {values.shape[1]} numbers a line, not {NTU.frame_size}")
    require_metres(path.name, values)
    return values.reshape(-1, *NTU.frame_shape)


if __name__ == "__main__":
    run(main)
