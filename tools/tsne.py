"""Draw t-SNE of test clips' features: of one checkpoint, or of two side by side in the same colors.

python -m tools.tsne --checkpoint checkpoints/baseline --checkpoint checkpoints/ntu60_xsub
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import common
from tools.evaluation import clusters, encoders
from tools.evaluation.features import extract_features, halves_for
from tools.evaluation.standardize import scale_of


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add = parser.add_argument
    add("--checkpoint", type=Path, required=True, action="append",
        help="folder of a run, or a checkpoint; may be given twice")  # fmt: skip
    add("--classes", type=int, help="number of classes, drawn by the seed (10, or all)")
    add("--seed", type=int, default=0, help="seed of the classes and of t-SNE (0)")
    add("--out", type=Path, help="file to write, without its suffix .png, .svg or .json (tsne in "
        "the folder of the last checkpoint)")  # fmt: skip
    add("--standardize", action="store_true", help="draw a further panel, with each dimension of "
        "the features standardized by the training clips' mean and deviation")  # fmt: skip
    add("--data-root", help="folder that holds the stores (the checkpoint's)")
    add("--dataset", metavar="STORE", help="name of the store (the checkpoint's)")
    add("--protocol", help="split of the store (the checkpoint's)")
    args = parser.parse_args(argv)
    if len(args.checkpoint) > 2:
        parser.error("--checkpoint can be given once or twice")
    if args.classes is not None and args.classes < 2:
        parser.error("--classes must be at least 2")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    args, panels = parse_args(argv), []
    loaded = [encoders.load(path, device=encoders.best_device()) for path in args.checkpoint]
    data = halves_for(loaded[0], args.data_root, args.dataset, args.protocol)
    store, rows = data.store, clusters.draw_clips(data, args.classes, args.seed)
    for one in loaded:
        title, streams = clusters.title_of(one), [one.modalities]
        (x,) = extract_features(one.encoder, store, rows, streams, what=title)
        panels.append(clusters.embed(title, x, store.label[rows], args.seed))
        if args.standardize:
            (train,) = extract_features(one.encoder, store, data.train, streams, what=title)
            x, title = scale_of(train).apply(x), f"{title}, standardized"
            panels.append(clusters.embed(title, x, store.label[rows], args.seed))
    out = args.out or loaded[-1].folder / "tsne"
    clusters.write(out, data, rows, panels, args.seed)
    for panel in panels:
        print(panel.caption)
    print(f"written to {out}.png, .svg and .json")
    print(f"next: python -m tools.report {loaded[-1].folder}")


if __name__ == "__main__":
    common.run(main)
