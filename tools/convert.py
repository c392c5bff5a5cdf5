"""Convert data and checkpoints of other codes to the formats of this code, and back.

python -m tools.convert import NTU60_CS.npz data/ntu60 --names skes_available_name.txt
python -m tools.convert map data/nwucla data/nwucla17 --skeleton coco_17
python -m tools.convert to-npz data/ntu60 NTU60_CS.npz --protocol cross_subject
python -m tools.convert from-published checkpoint.pth.tar checkpoints/NAME --num-head 1
"""

import argparse
from pathlib import Path

import torch

from common import UserError, atomic, run
from data_gen.gendata import print_next, print_store, skeleton
from data_gen.readers.recording import AXES, UNITS
from feeder.skeletons import BUILT_IN
from feeder.store import open_folder
from tools.formats.arrays import write_arrays
from tools.formats.ctrgcn import write_npz
from tools.formats.importing import open_source, write_store
from tools.formats.mapping import open_mapped
from tools.formats.published_checkpoint import from_published, to_published
from tools.formats.pyskl import write_pkl
from tools.training import checkpoint

WRITERS = {"to-arrays": write_arrays, "to-npz": write_npz}
WRITERS["to-pkl"] = lambda store, _, path: write_pkl(store, path)  # of all splits
SKELETONS = f"{', '.join(BUILT_IN)}, or a .json file"


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    commands = parser.add_subparsers(dest="conversion", metavar="CONVERSION", required=True)

    def command(name, convert, meaning):
        about = {"help": meaning, "description": f"Convert {meaning}."}
        added = commands.add_parser(name, allow_abbrev=False, **about)
        added.add_argument("source", type=Path, help="file or folder to convert")
        added.add_argument("target", type=Path, help="file or folder to write; must not exist")
        added.set_defaults(convert=convert)
        return added.add_argument

    for name in ("import", "from-arrays"):
        add = command(name, import_clips, "clips of other code, in any known format, to a store")
        add("--protocol", help="split to take of several, or of an .npz whose name does not tell")
        names = "names of NTU's clips, one a line, for files without: skes_available_name.txt"
        add("--names", type=Path, metavar="FILE", help=names)
        add("--skeleton", type=skeleton, metavar="NAME", help=f"of other joints: {SKELETONS}")
        add("--axes", choices=AXES, help="of recordings of one's own (y-up; y-down of 2-D files)")
        numbers = "numbers of a joint in ST-GCN's arrays of one's own (xyz)"
        add("--channels", choices=("xyz", "xy", "xyc"), help=numbers)
        add("--unit", choices=UNITS, help="of recordings of one's own (m; px of 2-D files)")
    add = command("map", import_clips, "a store to the joints of another skeleton")
    add("--skeleton", type=skeleton, required=True, metavar="NAME", help=SKELETONS)
    for name, what in (("to-arrays", "UmURL's arrays"), ("to-npz", "CTR-GCN's file")):
        add = command(name, export_clips, f"a store to {what} of one protocol")
        add("--protocol", default="cross_subject", help="split (%(default)s)")
    command("to-pkl", export_clips, "a store to pyskl's file")
    parser.set_defaults(protocol=None)  # of to-pkl, whose file holds all splits
    add = command("from-published", import_checkpoint, "a published checkpoint to a run")
    add("--num-head", type=int, default=1, help="attention heads (1)")
    add("--pre-dataset", default="ntu60", metavar="STORE", help="store of its training (ntu60)")
    add("--protocol", default="cross_subject", help="split of its training (cross_subject)")
    add("--data-root", default="data", help="folder of the stores (data)")
    command("to-published", export_checkpoint, "a run or a checkpoint to a published checkpoint")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    target = args.target
    is_file = args.conversion in ("to-npz", "to-pkl", "to-published")  # no folder
    if target.exists() and (is_file or not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} is there already; move it away or name another target")
    args.convert(args)


def import_clips(args: argparse.Namespace) -> None:
    if args.conversion == "map":
        source = open_mapped(open_folder(args.source), args.skeleton, args.target.name)
        flags = {}
    else:
        source = open_source(args.source, args.protocol)
        print(f"{args.source} holds {source.kind}: {len(source.labels)} clips", flush=True)
        names = ("names", "protocol", "skeleton", "axes", "channels", "unit")
        flags = {name: value for name in names if (value := getattr(args, name))}
    store = write_store(source, args.target, **flags)
    print_store(store)
    name, protocol = store.folder.name, next(iter(store.split_counts()))
    print_next(store, name, f"--pre-dataset {name} --protocol {protocol}")


def export_clips(args: argparse.Namespace) -> None:
    store = open_folder(args.source)
    with atomic(args.target) as part:
        WRITERS[args.conversion](store, args.protocol, part)
    print(f"{args.source} written to {args.target}; the coordinates are those of the store")


def import_checkpoint(args: argparse.Namespace) -> None:
    settings = {name: getattr(args, name) for name in ("data_root", "pre_dataset", "protocol")}
    path = checkpoint.save(args.target, from_published(args.source, args.num_head, settings))
    print(f"written to {path}")
    print(f"next: python action_classification.py --checkpoint-path {args.target}")


def export_checkpoint(args: argparse.Namespace) -> None:
    path = checkpoint.newest(args.source)
    content = to_published(checkpoint.load(path), path)
    with atomic(args.target) as part:
        torch.save(content, part)
    print(f"{path} written to {args.target}")


if __name__ == "__main__":
    run(main)
