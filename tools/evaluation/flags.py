"""The flags that the evaluations share: which encoder, on which data."""

import argparse
from pathlib import Path

from net import MODALITIES
from tools import cli


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
# fmt: on
