"""Take over what other repositories have made, or hand over to them.

python -m tools.convert from-published checkpoint.pth.tar checkpoints/NAME --num-head 1
python -m tools.convert to-published checkpoints/NAME checkpoint.pth.tar
python -m tools.convert from-arrays FOLDER data/ntu60
python -m tools.convert to-arrays data/ntu60 FOLDER --protocol cross_subject
"""

import argparse
from pathlib import Path

from data_gen.datasets.ntu import DATASETS
from data_gen.preparing import commands
from data_gen.preparing.files import whole_folder
from data_gen.preparing.store import StoreError as WriteError
from data_gen.preparing.store import StoreWriter
from feeder.store import open_store
from tools import cli
from tools.formats import checkpoint
from tools.formats.arrays import export_arrays, import_arrays
from tools.formats.published import from_published, to_published


# fmt: off
def parse_args() -> argparse.Namespace:
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
    return parser.parse_args()
# fmt: on


def main() -> None:
    args = parse_args()
    if args.target.exists() and not (args.target.is_dir() and not any(args.target.iterdir())):
        raise cli.UserError(f"{args.target} is there already; move it away or name another target")
    print(CONVERSIONS[args.what](args))


def published_to_run(args: argparse.Namespace) -> str:
    """Write the folder of a run, which holds a published checkpoint as ours."""
    settings = {name: getattr(args, name) for name in ("data_root", "pre_dataset", "protocol")}
    saved = from_published(args.source, args.num_head, settings)
    path = checkpoint.save(args.target, saved)
    return (
        f"written to {path}\nnext: {commands.evaluation('recognition', args.target)}\n"
        f"or: {commands.evaluation('retrieval', args.target)}"
    )


def run_to_published(args: argparse.Namespace) -> str:
    """Write the published form of a checkpoint, or of the newest one in a run's folder."""
    path = checkpoint.newest(args.source) if args.source.is_dir() else args.source
    saved = to_published(checkpoint.load(path), path)
    checkpoint.write(args.target, saved)
    return f"{path} written to {args.target}"


def arrays_to_store(args: argparse.Namespace) -> str:
    """Write a packed store with the clips of both parts of padded arrays."""
    if args.target.name not in DATASETS:
        raise cli.UserError(f"{args.target}: a store's folder is called {' or '.join(DATASETS)}")
    try:
        with StoreWriter(args.target, DATASETS[args.target.name]) as store:
            import_arrays(args.source, store)
            store.commit()
    except WriteError as error:
        raise cli.UserError(str(error)) from None
    return (
        f"{store.clips} clips, {store.frames} frames written to {args.target}\n"
        f"next: {commands.pretraining(args.target, 'cross_subject')}"
    )


def store_to_arrays(args: argparse.Namespace) -> str:
    """Write a store as padded arrays of one protocol; the folder is whole or absent."""
    store = open_store(args.source.resolve().parent, args.source.resolve().name)
    with whole_folder(args.target) as folder:
        export_arrays(store, args.protocol, folder)
    return f"{args.source} {args.protocol} written to {args.target}"


CONVERSIONS = {
    "from-published": published_to_run,
    "to-published": run_to_published,
    "from-arrays": arrays_to_store,
    "to-arrays": store_to_arrays,
}


if __name__ == "__main__":
    cli.run(main)
