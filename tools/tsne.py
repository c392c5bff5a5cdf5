"""Draw t-SNE of test clips' features: of one checkpoint, or of two side by side in the same colors.

python -m tools.tsne --checkpoint checkpoints/baseline --checkpoint checkpoints/ntu60_xsub
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from data_gen.preparing.commands import command
from tools import cli


# fmt: off
def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True, action="append",
                        help="folder of a run, or a checkpoint; may be given twice")
    parser.add_argument("--classes", type=cli.whole_number(2), default=10,
                        help="how many classes, drawn by the seed")
    parser.add_argument("--seed", type=cli.whole_number(0), default=0,
                        help="seed of the classes and of t-SNE")
    parser.add_argument("--out", type=Path,
                        help="file to write, without its suffix .png, .svg or .json (tsne in the "
                        "folder of the last checkpoint)")
    parser.add_argument("--standardize", action="store_true",
                        help="draw a further panel, with each dimension of the features "
                        "standardized by the training clips' mean and standard deviation")
    parser.add_argument("--data-root", help="folder that holds the stores (the checkpoint's)")
    parser.add_argument("--dataset", metavar="STORE", help="name of the store (the checkpoint's)")
    parser.add_argument("--protocol", help="split of the store (the checkpoint's)")
    args = parser.parse_args(argv)
    if len(args.checkpoint) > 2:
        parser.error("--checkpoint can be given once or twice")
    return args
# fmt: on


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    from tools.evaluation import clusters, encoders  # import torch, so after the flags are checked
    from tools.evaluation.features import halves_for

    loaded = [encoders.load(path, device=encoders.best_device()) for path in args.checkpoint]
    data = halves_for(loaded[0], args.data_root, args.dataset, args.protocol)
    found = clusters.find(loaded, data, args.classes, args.seed, standardize=args.standardize)
    out = args.out or loaded[-1].folder / "tsne"
    clusters.write(found, out, args.seed)
    for panel in found.panels:
        print(clusters.caption(panel))
    print(f"written to {out}.png, .svg and .json")
    print(f"next: {command('tools.report', loaded[-1].folder)}")


if __name__ == "__main__":
    cli.run(main)
