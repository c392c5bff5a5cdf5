"""Convert data and checkpoints of other codes to the formats of this code, and back.

python -m tools.convert import NTU60_CS.npz data/ntu60 --names skes_available_name.txt
python -m tools.convert import ntu60_hrnet.pkl data/ntu60_2d
python -m tools.convert map data/nwucla data/nwucla17 --skeleton coco_17
python -m tools.convert to-npz data/ntu60 NTU60_CS.npz --protocol cross_subject
python -m tools.convert to-pkl data/ntu60 ntu60_3danno.pkl
python -m tools.convert to-arrays data/ntu60 FOLDER --protocol cross_subject
python -m tools.convert from-published checkpoint.pth.tar checkpoints/NAME --num-head 1
python -m tools.convert to-published checkpoints/NAME checkpoint.pth.tar
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from common import UserError, atomic, run
from data_gen.gendata import Report, print_next, print_store, skeleton
from data_gen.readers.recording import AXES, UNITS
from data_gen.writer import StoreWriter
from feeder.skeletons import BUILT_IN
from feeder.store import Store, open_store
from tools.formats.importing import write_store
from tools.formats.mapping import map_store
from tools.formats.published_checkpoint import from_published, to_published
from tools.formats.reading import open_source
from tools.formats.writing import write_arrays, write_npz, write_pkl
from tools.training import checkpoint

SKELETONS = f"{', '.join(BUILT_IN)}, or a .json file"


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tools.convert", description=__doc__.splitlines()[0], allow_abbrev=False
    )
    conversions = parser.add_subparsers(dest="conversion", metavar="CONVERSION", required=True)

    def add(name: str, convert: Callable[[argparse.Namespace], None], meaning: str):
        command = conversions.add_parser(
            name, help=meaning, description=f"Convert {meaning}.", allow_abbrev=False
        )
        command.add_argument("source", type=Path, help="file or folder to convert")
        command.add_argument("target", type=Path, help="file or folder to write; must not exist")
        command.set_defaults(convert=convert)
        return command.add_argument

    for name in ("import", "from-arrays"):
        flag = add(name, import_clips, "clips of other code, in any known format, to a store")
        flag("--protocol",
             help="the split to take, of a file with several; or what the halves of an .npz file "
             "are, if its name does not tell")  # fmt: skip
        flag("--names", type=Path, metavar="FILE",
             help="for files of NTU RGB+D without names: a list of clip names, one a line, such as "
             "CTR-GCN's skes_available_name.txt")  # fmt: skip
        flag("--skeleton", type=skeleton, metavar="NAME", help=f"of other joints: {SKELETONS}")
        flag("--axes", choices=AXES, help="of recordings of one's own (y-up; y-down of 2-D files)")
        flag("--channels", choices=("xyz", "xy", "xyc"),
             help="the numbers of a joint in ST-GCN's arrays of one's own (xyz)")  # fmt: skip
        flag("--unit", choices=UNITS, help="of recordings of one's own (m; px of 2-D files)")
    flag = add("map", map_clips, "a store to the joints of another skeleton")
    flag("--skeleton", type=skeleton, required=True, metavar="NAME", help=SKELETONS)
    for name, what in (("to-arrays", "UmURL's arrays"), ("to-npz", "CTR-GCN's file")):
        flag = add(name, export_clips, f"a store to {what} of one protocol")
        flag("--protocol", default="cross_subject", help="split (%(default)s)")
    add("to-pkl", export_clips, "a store to pyskl's file")
    flag = add("from-published", import_checkpoint,
               "a published checkpoint {'epoch', 'state_dict', 'optimizer'} to a run")  # fmt: skip
    flag("--num-head", type=int, default=1, help="attention heads (%(default)s)")
    flag("--pre-dataset", default="ntu60", metavar="STORE",
         help="store on which it was trained (%(default)s)")  # fmt: skip
    flag("--protocol", default="cross_subject", help="split of its training (%(default)s)")
    flag("--data-root", default="data", help="folder of the stores (%(default)s)")
    add("to-published", export_checkpoint, "a run or a checkpoint to a published checkpoint")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    target = args.target
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise UserError(f"{target} is there already; move it away or name another target")
    args.convert(args)


def import_clips(args: argparse.Namespace) -> None:
    source = open_source(args.source, args.protocol)
    print(f"{args.source} holds {source.kind}: {len(source.labels)} clips", flush=True)
    names = ("names", "protocol", "skeleton", "axes", "channels", "unit")
    flags = {name: value for name in names if (value := getattr(args, name))}
    say_written(write_store(source, args.target, Report(strict=False), **flags))


def map_clips(args: argparse.Namespace) -> None:
    store = open_folder(args.source)
    say_written(map_store(store, args.skeleton, args.target, Report(strict=False)))


def say_written(store: StoreWriter) -> None:
    print_store(store)
    name = store.folder.name
    print_next(store, name, f"--pre-dataset {name} --protocol {next(iter(store.split_counts()))}")


def export_clips(args: argparse.Namespace) -> None:
    store = open_folder(args.source)
    with atomic(args.target) as part:
        if args.conversion == "to-arrays":
            write_arrays(store, args.protocol, part)
        elif args.conversion == "to-npz":
            write_npz(store, args.protocol, part)
        else:
            write_pkl(store, part)
    print(f"{args.source} written to {args.target}; the coordinates are those of the store")


def import_checkpoint(args: argparse.Namespace) -> None:
    settings = {name: getattr(args, name) for name in ("data_root", "pre_dataset", "protocol")}
    path = checkpoint.save(args.target, from_published(args.source, args.num_head, settings))
    print(f"written to {path}\nnext: ./script_action_recognition.sh {args.target.name}")


def export_checkpoint(args: argparse.Namespace) -> None:
    path = checkpoint.newest(args.source) if args.source.is_dir() else args.source
    content = to_published(checkpoint.load(path), path)
    with atomic(args.target) as part:
        torch.save(content, part)
    print(f"{path} written to {args.target}")


def open_folder(folder: Path) -> Store:
    """Open the store in a folder."""
    return open_store(folder.resolve().parent, folder.resolve().name)


if __name__ == "__main__":
    run(main)
