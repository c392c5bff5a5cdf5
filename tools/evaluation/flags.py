"""The flags that both evaluations share: which encoder, which data, how many labels."""

import argparse
import re
from pathlib import Path

from common import flag
from net import MODALITIES
from tools.evaluation.features import Labels
from tools.evaluation.robustness import KINDS


def modalities(text: str) -> tuple[str, ...]:
    """An argparse type: names of modalities, separated by commas, each at most once."""
    names = text.split(",")
    if not set(names) <= set(MODALITIES) or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"{text!r} is not some of {','.join(MODALITIES)}")
    return tuple(name for name in MODALITIES if name in names)


def classes_in(text: str | None) -> set[int]:
    """The classes, from 1, in a text as `61-120` or `1,5,8-10`; an empty set for any other text."""
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text or "", re.ASCII):
        return set()
    ends = [[int(end) for end in part.split("-")] for part in text.split(",")]
    if not all(1 <= part[0] <= part[-1] for part in ends):
        return set()
    return {number for part in ends for number in range(part[0], part[-1] + 1)}


def add_shared(parser: argparse.ArgumentParser) -> None:
    """Add the flags that both evaluations have. Most defaults come from the checkpoint."""
    add = parser.add_argument_group("encoder and data").add_argument
    add("--checkpoint-path", type=Path, required=True, help="the run's folder, or a checkpoint")
    add("--pretrained", default="final", help="random, or the path of another checkpoint")
    add("--modalities", type=modalities, help="what the encoder sees, as in joint,bone")
    add("--data-root", help="folder of the stores (the checkpoint's)")
    add("--finetune-dataset", metavar="STORE", help="store to evaluate on (the checkpoint's)")
    add("--protocol", help="train/test split of the store (the checkpoint's)")
    add("--classes", metavar="61-120", help="only clips of these classes, counted from 1")
    add("--seed", type=int, default=0, help="seed of everything random (0)")
    add("--save-features", type=Path, metavar="FILE.npz", help="write features of all clips, too")

    group = parser.add_argument_group("labels and features")
    few = group.add_mutually_exclusive_group()
    few.add_argument("--label-fraction", type=float, help="share of each class that has a label")
    few.add_argument("--labels-per-class", type=int, help="clips of each class that have a label")
    add = group.add_argument
    add("--runs", type=int, default=1, help="runs, with seeds from --seed on: mean and deviation")
    scaled = "once more, with features standardized by the training clips"
    add("--standardize", action="store_true", help=scaled)

    add = parser.add_argument_group("curves over incomplete test clips").add_argument
    for kind, (meaning, amounts) in KINDS.items():
        number = int if kind == "drop_joints" else float
        usual = f"{meaning} ({' '.join(f'{amount:g}' for amount in amounts)})"
        add(flag(kind), type=number, nargs="*", metavar="AMOUNT", help=usual)


def check_shared(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse values out of range; add `labels` and, as {kind: amounts}, `curves`."""
    in_range = {
        "seed": args.seed >= 0,
        "runs": args.runs >= 1,
        "classes": args.classes is None or classes_in(args.classes),
        "label_fraction": args.label_fraction is None or 0 < args.label_fraction <= 1,
        "labels_per_class": args.labels_per_class is None or args.labels_per_class >= 1,
        "observe": all(0 < share <= 1 for share in args.observe or []),
        "drop_joints": all(count >= 0 for count in args.drop_joints or []),
        "drop_frames": all(0 <= share < 1 for share in args.drop_frames or []),
    }
    for name, fine in in_range.items():
        if not fine:
            parser.error(f"{flag(name)} {getattr(args, name)} is out of range")
    args.labels = Labels(args.label_fraction, args.labels_per_class)
    given = {kind: getattr(args, kind) for kind in KINDS}
    args.curves = {kind: some or KINDS[kind][1] for kind, some in given.items() if some is not None}
