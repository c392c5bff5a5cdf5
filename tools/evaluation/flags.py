"""The flags that the evaluations share: which encoder, on which data."""

import argparse
import re
from pathlib import Path

from net import MODALITIES
from tools import cli
from tools.evaluation.settings import AMOUNTS


def modalities(text: str) -> tuple[str, ...]:
    """An argparse type: names of modalities with commas between, each at most once."""
    names = text.split(",")
    if not set(names) <= set(MODALITIES) or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not some of {','.join(MODALITIES)}, each at most once"
        )
    return tuple(name for name in MODALITIES if name in names)


def fraction(text: str) -> float:
    """An argparse type: numbers above 0, 1 at most."""
    if (value := cli.positive(text)) > 1:
        raise argparse.ArgumentTypeError(f"{text!r} is more than 1")
    return value


def class_list(text: str) -> str:
    """An argparse type: classes as in `61-120` or `1,5,8-10`, counted from 1; returned as given."""
    if not classes_in(text):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not classes as in 61-120 or 1,5,8-10")
    return text


def classes_in(text: str) -> set[int]:
    """The classes that `class_list` takes; none where the text is not of that form."""
    if not re.fullmatch(r"[0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*", text):
        return set()
    ends = [[int(end) for end in part.split("-")] for part in text.split(",")]
    if not all(1 <= part[0] <= part[-1] for part in ends):
        return set()
    return {number for part in ends for number in range(part[0], part[-1] + 1)}


def share(text: str) -> float:
    """An argparse type: numbers from 0, less than 1."""
    if (value := cli.not_negative(text)) >= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not less than 1")
    return value


# fmt: off
def add_encoder_and_data(parser: argparse.ArgumentParser) -> None:
    """Add the flags that name the encoder and the data; a checkpoint knows most of them."""
    group = parser.add_argument_group("encoder and data")
    group.add_argument("--checkpoint-path", type=Path, required=True,
                       help="folder of the run, or a checkpoint in it; results go to the folder")
    group.add_argument("--pretrained", default="final",
                       help="final: the run's newest checkpoint; random: the same encoder without "
                       "pre-training; or the path of a checkpoint")
    group.add_argument("--modalities", type=modalities, default=",".join(MODALITIES),
                       help="what the encoder sees, e.g. joint or joint,bone; several are fused")
    group.add_argument("--data-root", help="folder that holds the stores (the checkpoint's)")
    group.add_argument("--finetune-dataset", metavar="STORE",
                       help="name of the store to evaluate on (the checkpoint's)")
    group.add_argument("--protocol", help="its split (the checkpoint's)")
    group.add_argument("--seed", type=cli.whole_number(0), default=0, help="of everything random")
    group.add_argument("--save-features", type=Path, metavar="FILE.npz",
                       help="also write all clips' features, labels and names")
    group.add_argument("--classes", type=class_list, metavar="61-120",
                       help="only clips of these classes, counted from 1")


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the flags that both evaluations have: how features are read, with how many labels."""
    group = parser.add_argument_group("labels, and how features are read")
    few = group.add_mutually_exclusive_group()
    few.add_argument("--label-fraction", type=fraction, help="share of each class's labels")
    few.add_argument("--labels-per-class", type=cli.whole_number(1),
                     help="how many labels of each class")
    group.add_argument("--runs", type=cli.whole_number(1), default=1,
                       help="runs with seeds from --seed on; results are mean and deviation")
    group.add_argument("--standardize", action="store_true",
                       help="besides, with each dimension of the features standardized by the "
                       "training clips' mean and deviation; a result of its own")
    altered = parser.add_argument_group("test clips that are less than whole: further curves")
    for kind, kept, meaning in (
        ("observe", fraction, "shares of each clip that are seen, from its beginning"),
        ("drop_joints", cli.whole_number(0), "numbers of joints that are missing"),
        ("drop_frames", share, "shares of the frames that are missing"),
    ):
        altered.add_argument(f"--{kind.replace('_', '-')}", type=kept, nargs="*",
                             default=argparse.SUPPRESS, metavar="AMOUNT",
                             help=f"{meaning} ({' '.join(f'{a:g}' for a in AMOUNTS[kind])})")


def curves(args: argparse.Namespace) -> dict[str, list[float]]:
    """The curves that were asked for: {kind: amounts}."""
    return {kind: getattr(args, kind) or usual for kind, usual in AMOUNTS.items() if kind in args}
# fmt: on
