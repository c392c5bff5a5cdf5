"""The flags that all evaluations share: which encoder, which data, how many labels."""

import argparse
import re
from pathlib import Path

from net import MODALITIES
from tools import cli
from tools.evaluation.settings import AMOUNTS


def modalities(text: str) -> tuple[str, ...]:
    """An argparse type: names of modalities, separated by commas, each at most once."""
    names = text.split(",")
    if not set(names) <= set(MODALITIES) or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not some of {','.join(MODALITIES)}, each at most once"
        )
    return tuple(name for name in MODALITIES if name in names)


def fraction(text: str) -> float:
    """An argparse type: a number above 0, at most 1."""
    if (value := cli.positive(text)) > 1:
        raise argparse.ArgumentTypeError(f"{text!r} is more than 1")
    return value


def class_list(text: str) -> str:
    """An argparse type: classes as in `61-120` or `1,5,8-10`, from 1; returns the text as it is."""
    if not classes_in(text):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not classes as in 61-120 or 1,5,8-10")
    return text


def classes_in(text: str) -> set[int]:
    """The classes in a text that `class_list` allows; an empty set for any other text."""
    if not re.fullmatch(r"[0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*", text):
        return set()
    ends = [[int(end) for end in part.split("-")] for part in text.split(",")]
    if not all(1 <= part[0] <= part[-1] for part in ends):
        return set()
    return {number for part in ends for number in range(part[0], part[-1] + 1)}


def share(text: str) -> float:
    """An argparse type: a number from 0, less than 1."""
    if (value := cli.not_negative(text)) >= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not less than 1")
    return value


# fmt: off
def add_encoder_and_data(parser: argparse.ArgumentParser) -> None:
    """Add the flags that name the encoder and the data. Most defaults come from the checkpoint."""
    group = parser.add_argument_group("encoder and data")
    group.add_argument("--checkpoint-path", type=Path, required=True,
                       help="folder of the run, or a checkpoint in it; results go into the folder")
    group.add_argument("--pretrained", default="final",
                       help="final: the run's newest checkpoint; random: the same encoder without "
                       "pre-training; or the path of a checkpoint")
    group.add_argument("--modalities", type=modalities,
                       help="what the encoder sees, e.g. joint or joint,bone; several are fused "
                       "(the modalities of its pre-training)")
    group.add_argument("--data-root", help="folder that holds the stores (the checkpoint's)")
    group.add_argument("--finetune-dataset", metavar="STORE",
                       help="name of the store to evaluate on (the checkpoint's)")
    group.add_argument("--protocol", help="split of the store (the checkpoint's)")
    group.add_argument("--seed", type=cli.whole_number(0), default=0,
                       help="seed of everything random")
    group.add_argument("--save-features", type=Path, metavar="FILE.npz",
                       help="also write the features, labels and names of all clips")
    group.add_argument("--classes", type=class_list, metavar="61-120",
                       help="only clips of these classes, counted from 1")


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the flags for labels, for standardizing, and for curves over incomplete test clips."""
    group = parser.add_argument_group("labels and features")
    few = group.add_mutually_exclusive_group()
    few.add_argument("--label-fraction", type=fraction,
                     help="share of the training clips of each class that keep their label")
    few.add_argument("--labels-per-class", type=cli.whole_number(1),
                     help="number of training clips of each class that keep their label")
    group.add_argument("--runs", type=cli.whole_number(1), default=1,
                       help="number of runs, with seeds from --seed on; the result is the mean and "
                       "the standard deviation")
    group.add_argument("--standardize", action="store_true",
                       help="evaluate a second time, with each dimension of the features "
                       "standardized by the training clips' mean and standard deviation")
    altered = parser.add_argument_group("curves over incomplete test clips")
    for kind, kept, meaning in (
        ("observe", fraction, "shares of each clip that are seen, from its beginning"),
        ("drop_joints", cli.whole_number(0), "numbers of joints that are missing"),
        ("drop_frames", share, "shares of the frames that are missing"),
    ):
        altered.add_argument(f"--{kind.replace('_', '-')}", type=kept, nargs="*",
                             default=argparse.SUPPRESS, metavar="AMOUNT",
                             help=f"{meaning} ({' '.join(f'{a:g}' for a in AMOUNTS[kind])})")


def curves(args: argparse.Namespace) -> dict[str, list[float]]:
    """The curves that the flags ask for: {kind: amounts}."""
    return {kind: getattr(args, kind) or usual for kind, usual in AMOUNTS.items() if kind in args}
# fmt: on
