"""Take over what other repositories have made, or hand over to them.

python -m tools.convert from-published checkpoint.pth.tar checkpoints/NAME --num-head 1
python -m tools.convert to-published checkpoints/NAME checkpoint.pth.tar
python -m tools.convert from-arrays FOLDER data/ntu60
python -m tools.convert to-arrays data/ntu60 FOLDER --protocol cross_subject
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tools import cli

CONVERSIONS = ("from-published", "to-published", "from-arrays", "to-arrays")


# fmt: off
def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    parser.add_argument("what", choices=CONVERSIONS,
                        help="published: a checkpoint {'epoch', 'state_dict', 'optimizer'}; "
                        "arrays: a folder of train/val_data_joint.npy, _num_frame.npy, _label.pkl")
    parser.add_argument("source", type=Path, help="file, or folder of a run, store or arrays")
    parser.add_argument("target", type=Path, help="what to write; there must be nothing yet")
    parser.add_argument("--protocol", default="cross_subject",
                        help="split of the arrays; that the checkpoint was trained on")
    weights = parser.add_argument_group("from-published: what the weights do not tell")
    weights.add_argument("--num-head", type=cli.whole_number(1), default=1, help="attention heads")
    weights.add_argument("--pre-dataset", default="ntu60", metavar="STORE",
                         help="name of the store that it was trained on")
    weights.add_argument("--data-root", default="data", help="folder that holds the stores")
    return parser.parse_args(argv)
# fmt: on


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    source, target = args.source, args.target
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise cli.UserError(f"{target} is there already; move it away or name another target")
    from tools.formats import conversions  # torch: once the flags are right

    if args.what == "from-published":
        settings = {name: getattr(args, name) for name in ("data_root", "pre_dataset", "protocol")}
        told = conversions.published_to_run(source, target, args.num_head, settings)
    elif args.what == "to-published":
        told = conversions.run_to_published(source, target)
    elif args.what == "from-arrays":
        told = conversions.arrays_to_store(source, target)
    else:
        told = conversions.store_to_arrays(source, target, args.protocol)
    print(told)


if __name__ == "__main__":
    cli.run(main)
