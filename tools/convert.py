"""Convert data and checkpoints of other codes to the formats of this code, and back.

python -m tools.convert import NTU60_CS.npz data/ntu60 --names skes_available_name.txt
python -m tools.convert to-npz data/ntu60 NTU60_CS.npz --protocol cross_subject
python -m tools.convert to-pkl data/ntu60 ntu60_3danno.pkl
python -m tools.convert to-arrays data/ntu60 FOLDER --protocol cross_subject
python -m tools.convert from-published checkpoint.pth.tar checkpoints/NAME --num-head 1
python -m tools.convert to-published checkpoints/NAME checkpoint.pth.tar
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from data_gen.preparing import commands
from data_gen.preparing.files import whole_file, whole_folder
from data_gen.preparing.report import split_line
from feeder.store import Store, open_store
from tools import cli
from tools.formats.ctrgcn import write_npz
from tools.formats.detect import recognize
from tools.formats.importing import write_store
from tools.formats.padded_arrays import export_arrays
from tools.formats.pyskl import write_pkl

CONVERSIONS = {
    "import": "clips of other code, in any known format, to a store",
    "from-arrays": "the same as import",
    "to-arrays": "a store to UmURL's arrays of one protocol",
    "to-npz": "a store to CTR-GCN's file of one protocol",
    "to-pkl": "a store to pyskl's file",
    "from-published": "a published checkpoint {'epoch', 'state_dict', 'optimizer'} to a run",
    "to-published": "a run or a checkpoint to a published checkpoint",
}


# fmt: off
def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    meanings = "; ".join(f"{name}: {meaning}" for name, meaning in CONVERSIONS.items())
    parser.add_argument("what", choices=CONVERSIONS, metavar="CONVERSION", help=meanings)
    parser.add_argument("source", type=Path, help="file or folder to convert")
    parser.add_argument("target", type=Path, help="file or folder to write; must not exist yet")
    parser.add_argument("--protocol",
                        help="split of the file, or the split on which the checkpoint was trained "
                        "(cross_subject; import: as the file says)")
    parser.add_argument("--names", type=Path, metavar="FILE",
                        help="import: a list of clip names, one a line, such as CTR-GCN's "
                        "skes_available_name.txt, for files that hold no names")
    weights = parser.add_argument_group("from-published: facts that the file does not tell")
    weights.add_argument("--num-head", type=cli.whole_number(1), default=1, help="attention heads")
    weights.add_argument("--pre-dataset", default="ntu60", metavar="STORE",
                         help="name of the store on which the checkpoint was trained")
    weights.add_argument("--data-root", default="data", help="folder that holds the stores")
    args = parser.parse_args(argv)
    if args.names and args.what not in ("import", "from-arrays"):
        parser.error("--names is for import")
    return args
# fmt: on


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    source, target, protocol = args.source, args.target, args.protocol or "cross_subject"
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise cli.UserError(f"{target} is there already; move it away or name another target")
    if args.what in ("import", "from-arrays"):
        import_clips(source, target, args.protocol, args.names)
    elif args.what == "from-published":
        settings = {name: getattr(args, name) for name in ("data_root", "pre_dataset")}
        take_checkpoint(source, target, args.num_head, settings | {"protocol": protocol})
    elif args.what == "to-published":
        hand_over_checkpoint(source, target)
    else:
        hand_over_store(args.what, source, target, protocol)


def import_clips(source: Path, target: Path, protocol: str | None, names: Path | None) -> None:
    """Write the clips of a file or folder of other code as a store.

    source: the file or folder.
    target: the folder of the store.
    protocol: which protocol the halves of the file are; None: the file tells.
    names: a file with a list of the clips' names, or None.
    Raises UserError where the clips cannot be imported.
    """
    scratch = next(folder for folder in target.absolute().parents if folder.is_dir())
    found = recognize(source, scratch, protocol)
    print(f"{source} holds {found.kind}: {len(found.labels)} clips", flush=True)
    left_out = write_store(found, target, names)
    store = open_whole(target)
    print(f"{len(store.names)} clips, {len(store.joints)} frames written to {target}", end="")
    print(f"; {left_out} clips that show nobody are left out" if left_out else "")
    for name in store.protocols:
        train = store.description.train_mask(name, {**vars(store), **store.more})
        counts = int(train.sum()), int((~train).sum())
        print(split_line(name, counts, store.official(name)))
    usable = [name for name in store.protocols if name == protocol] or list(store.protocols)
    print(f"next: {commands.pretraining(target, usable[0])}")


def open_whole(folder: Path) -> Store:
    """Open the store in a folder."""
    return open_store(folder.resolve().parent, folder.resolve().name)


def hand_over_store(what: str, source: Path, target: Path, protocol: str) -> None:
    """Write a store in a format of other code, whole or not at all.

    what: `to-arrays`, `to-npz` or `to-pkl`.
    """
    store = open_whole(source)
    if what == "to-arrays":
        with whole_folder(target) as folder:
            export_arrays(store, protocol, folder)
    else:
        with whole_file(target) as part:
            write_npz(store, protocol, part) if what == "to-npz" else write_pkl(store, part)
    split = "" if what == "to-pkl" else f" {protocol}"
    print(
        f"{source}{split} written to {target}; coordinates as in the store: the main body's spine "
        "at the origin, the shoulders of the first frame along x"
    )


def take_checkpoint(source: Path, target: Path, num_head: int, settings: dict[str, str]) -> None:
    """Write a published checkpoint as a checkpoint of ours, into the folder of a run.

    settings: see `published_checkpoint.from_published`.
    """
    from tools.formats import checkpoint
    from tools.formats.published_checkpoint import from_published

    path = checkpoint.save(target, from_published(source, num_head, settings))
    print(f"written to {path}\nnext: {commands.evaluation('recognition', target)}")
    print(f"or: {commands.evaluation('retrieval', target)}")


def hand_over_checkpoint(source: Path, target: Path) -> None:
    """Write a checkpoint, or the newest one in a run's folder, in the published format."""
    from tools.formats import checkpoint
    from tools.formats.published_checkpoint import to_published

    path = checkpoint.newest(source) if source.is_dir() else source
    checkpoint.write(target, to_published(checkpoint.load(path), path))
    print(f"{path} written to {target}")


if __name__ == "__main__":
    cli.run(main)
