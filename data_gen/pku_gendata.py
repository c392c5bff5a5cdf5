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
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from common import UserError, run
from data_gen.gendata import DATA, Report, add_flags, print_next, print_store, read_all
from data_gen.readers.pku import NAME, read_clips, read_split
from data_gen.writer import StoreWriter
from feeder.datasets.pku import DATASETS


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
    splits = [find_split(args.data_path, args.dataset, p) for p in description.splits]
    skeletons, labels = (find_folder(args.data_path, kind) for kind in ("skeleton", "label"))
    videos = []
    for path in sorted(skeletons.glob("[!.]*.txt"), key=lambda path: path.stem):
        if not NAME.fullmatch(path.stem):
            report.note("left out, no name like 0002-L or A01N01-L", path.stem)
        elif not (labels / path.name).is_file():
            report.note("left out, without a label file", path.stem)
        elif not all(path.stem in split for split in splits):
            report.note("left out, in no half of a split", path.stem)
        else:
            videos.append(path)
    with StoreWriter(args.out_folder / args.dataset, description) as store:
        read = partial(read_clips, labels=labels)
        for path, clips in read_all(read, videos, args.workers, report):
            training = tuple(split[path.stem] for split in splits)
            for clip in clips:
                if isinstance(clip, UserError):
                    report.malformed(clip)
                elif clip.joints is None:
                    report.note("left out, without any body", clip.name)
                else:
                    if clip.is_cut:
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
    """Find and read the list of a protocol: {name of a video: 1 for training, else 0}."""
    name = f"{protocol}{'_v2' if dataset == 'pkummd2' else ''}.txt"
    for path in find(folder, name.replace("_", "[-_]")):
        return read_split(path)
    raise UserError(
        f"{folder / name} is missing: unpack PKU-MMD there, from "
        "https://struct002.github.io/PKUMMD/, or name its folder with --data_path"
    )


def find_folder(folder: Path, kind: str) -> Path:
    """The one folder with files of videos and with "skeleton" or "label" in its name."""
    found = [
        place
        for place in find(folder, "*")
        if kind in place.name.lower() and any(NAME.fullmatch(p.stem) for p in place.glob("*.txt"))
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
    return sorted(path for place in ("", "*/", "*/*/") for path in folder.glob(place + pattern))


if __name__ == "__main__":
    run(main)
