"""Prepare NW-UCLA: from JSON files to one store.

    python data_gen/ucla_gendata.py --data_path DIR

DIR, or a folder in it, holds the files of CTR-GCN and later codes, of one body and from Kinect v1:
aAA_sSS_eEE_vVV.json (action, subject, repetition, view) is {"file_name": "aAA_sSS_eEE_vVV",
"skeletons": T frames of 20 joints of x y z in metres, "label": 1 to 10}.

The default is the 25 joints of Kinect v2, as in published code and as models for NTU RGB+D need.
"""

import argparse
import json
import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import UserError, run
from data_gen.clip import map_joints, prepare_clip
from data_gen.gendata import DATA, Report, add_flags, print_next, print_store, read_all, skeleton
from data_gen.writer import StoreWriter
from feeder.datasets import UCLA, UCLA_ACTIONS
from feeder.description import Description
from feeder.skeletons import KINECT_V1, Layout, require_metres

NAME = re.compile(r"a([0-9]{2})_s([0-9]{2})_e([0-9]{2})_v([0-9]{2})")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add = parser.add_argument
    files = "folder of the JSON files (data/nwucla_raw)"
    add("--data_path", type=Path, default=DATA / "nwucla_raw", metavar="DIR", help=files)
    joints = "25: two bodies as in NTU RGB+D (default); 20: one as recorded; coco_17, ...: another"
    add("--joints", type=dataset, default="25", metavar="NAME", help=joints)
    add_flags(parser, "DIR/nwucla, DIR/nwucla20 with 20 joints, DIR/nwucla_coco_17, ...")
    return parser.parse_args(argv)


def dataset(joints: str) -> tuple[str, Description]:
    """An argparse type: the name and the description of the store with these joints."""
    if joints == "25":
        return "nwucla", UCLA
    if joints == "20":
        name, target, title = "nwucla20", KINECT_V1, "20 joints"
    else:
        target = skeleton(joints)
        name, title = f"nwucla_{Path(joints).stem}", target.name
    command = f"{UCLA.command} --joints {joints}"
    title, layout = f"NW-UCLA ({title})", Layout(target, 1)
    return name, replace(UCLA, title=title, layout=layout, command=command)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    report = Report(args.strict)
    found = {path.stem: path for path in args.data_path.rglob("a*_s*_e*_v*.json")}
    paths = [found[name] for name in sorted(found)]
    if not paths:
        fault = f"no file like a01_s01_e00_v01.json in {args.data_path}"
        raise UserError(f"{fault}; name the --data_path of NW-UCLA")
    name, description = args.joints
    read = partial(read_clip, layout=description.layout)
    with StoreWriter(args.out_folder / name, description) as store:
        for path, clip in read_all(read, paths, args.workers, report):
            store.add(path.stem, parse_name(path.stem), clip)
        report.print()
        store.commit()
    print_store(store)
    # With 1,020 training clips the default batch size of 1,024 would give one step in an epoch.
    flags = f"--pre-dataset {name} --protocol cross_view --batch-size 128"
    print_next(store, f"{name}_xview", flags)


def parse_name(name: str) -> tuple[int, int, int, int, int]:
    """Setup (always 1), camera, subject, replication and label of a clip; all count from 1."""
    match = NAME.fullmatch(name)
    action, subject, repetition, view = map(int, match.groups()) if match else (0, 0, 0, 0)
    if action not in UCLA_ACTIONS or subject < 1 or not 1 <= view <= 3:
        raise UserError(f"{name}: not a name like a01_s01_e00_v01 of NW-UCLA")
    return 1, view, subject, 1 + repetition, 1 + list(UCLA_ACTIONS).index(action)


def read_clip(path: Path, layout: Layout) -> np.ndarray | None:
    """The clip (T, M, V, 3) float32; None if it has no body. Raises UserError if malformed."""
    action = parse_name(path.stem)[-1]
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        label, bodies = content["label"], np.array(content["skeletons"], dtype=np.float64)
        bodies = bodies.reshape(len(bodies), 1, 20, 3)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise UserError(f"{path.name}: not frames of 20 joints in JSON ({error!r:.80})") from None
    if label != action:
        raise UserError(f"{path.name}: the label is {label!r:.20}, by the name it is {action}")
    require_metres(path.name, bodies)
    bodies[(bodies == 0).all(-1)] = np.nan  # so that no mean takes a missing joint for a position
    return prepare_clip(np.nan_to_num(map_joints(bodies, KINECT_V1, layout.skeleton)), layout)


if __name__ == "__main__":
    run(main)
