"""Import the clips of other codes' files as a store: those of NTU RGB+D and PKU-MMD are prepared by
the published rule, others as by `own_gendata.py`, in any axes and with missing joints.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from common import UserError
from data_gen.clip import prepare_clip, prepare_upright, require_metres
from data_gen.gendata import Report
from data_gen.own_gendata import check_axes
from data_gen.readers.recording import Reading, recording_of
from data_gen.readers.skeleton_file import parse_name
from data_gen.writer import StoreWriter
from feeder.datasets import KNOWN, LAST_SETUP
from feeder.description import FIELDS, UNLABELED, Description, Split
from feeder.skeletons import COCO_17, KINECT_V2, Layout
from tools.formats.arrays import open_arrays
from tools.formats.ctrgcn import match_names, open_npz
from tools.formats.pyskl import open_pkl
from tools.formats.source import Row, Source, refuse_turned

# Number of classes -> data sets, the usual one first, for files without names.
BY_CLASSES = {60: ["ntu60"], 120: ["ntu120"], 51: ["pkummd2", "pkummd1"]}
# Joints and channels -> skeleton.
USUAL = {(25, "xyz"): KINECT_V2, (17, "xy"): COCO_17, (17, "xyc"): COCO_17}


def open_source(path: Path, protocol: str | None = None) -> Source:
    """Open the clips of a file or folder; pickles run no code. Raises UserError if the format
    is unknown or cannot be used, or if the file is damaged. protocol: of the split of an .npz
    """
    names = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else [path.name]
    kinds = {name.removeprefix("train").removeprefix("val") for name in names}
    try:
        for form in ("_data_joint.npy", "_data.npy"):
            if path.is_dir() and form in kinds:
                return open_arrays(path, form)
        if path.suffix == ".npz":
            return open_npz(path, protocol)
        if path.suffix in (".pkl", ".pickle"):
            return open_pkl(path)
    except (UserError, OSError):
        raise
    except Exception as error:  # a damaged file can make a reader raise nearly any error
        what = f"{type(error).__name__}: {error}"
        raise UserError(f"{path} is damaged, or not what its name says ({what:.200})") from error
    if "_position.npy" in kinds:
        raise UserError(
            f"{path}: AimCLR's *_position.npy has each body moved and turned by itself in each "
            "frame, and cannot be imported; take the arrays that they were made from"
        )
    inner = [name for name in names if list((path / name).glob("*_data*.npy"))]
    hint = f"; name one of its folders {', '.join(inner)}" if inner else ""
    raise UserError(
        f"{path} is no folder of UmURL's, USDRL's, ST-GCN's or CrosSCLR's arrays, no .npz of "
        f"CTR-GCN or MAMP and no .pkl of pyskl{hint}"
    )


def write_store(source: Source, target: Path, report: Report, **flags: Any) -> StoreWriter:
    """Write the clips of a source as a store; those that cannot be used go to the report.
    Raises UserError if they do not fit together, or if one of the given flags has no effect.
    """
    description, rows = _describe(source, target, flags)
    if len({name for name, *_ in rows}) < len(rows):
        raise UserError(f"{source.path}: a clip's name occurs twice")
    order, ups = sorted(range(len(rows)), key=lambda i: rows[i][0]), []
    with StoreWriter(target, description) as store:
        for i in tqdm(order, unit="clip", disable=None):
            name, fields, more = rows[i]
            try:
                prepared = _prepare(source, i, rows[i], description)
            except Exception as error:  # a damaged clip can raise nearly any error
                is_named = isinstance(error, UserError)
                report.malformed(error if is_named else f"{name}: {type(error).__name__}: {error}")
                continue
            if prepared is None:
                report.note("left out, without any body", name)
                continue
            clip, up, notes = prepared
            store.add(name, fields, clip, more)
            ups.append(up)
            for note in notes:
                report.note(note, name)
        report.print()
        check_axes(ups, flags.get("axes"))
        store.commit()
    return store


def _prepare(source: Source, i: int, row: Row, description: Description) -> tuple | None:
    (name, _, more), layout = row, description.layout
    if min(more, default=0) < 0:
        raise UserError(f"{name}: neither a training nor a test clip of the split")
    if description.classes != UNLABELED and source.labels[i] < 0:
        raise UserError(f"{name}: it has no label")
    clip = source.read(i)
    if not len(clip):
        return None
    if not source.prepared:
        clip = clip.astype(np.float64)
        if clip.shape[1] == 2 and np.array_equal(clip[:, 0], clip[:, 1]):
            clip[:, 1] = 0  # some files repeat a single person
        if description.alignment == "upright":
            reading = Reading.of_store(layout, description.preparation)
            return prepare_upright(recording_of(name, clip, reading), layout)
    require_metres(name, clip)
    clip = clip if source.prepared else prepare_clip(clip, layout)
    return None if clip is None else (clip, np.full(3, np.nan), [])


def find_dataset(source: Source, target: Path) -> str | None:
    """The name of a source's data set; None if it is unknown. Raises UserError if the target's
    name is that of another data set.
    """
    wanted = target.resolve().name
    if source.num_classes is not None:
        candidates = BY_CLASSES.get(source.num_classes, [])
    else:
        try:
            fields = [parse_name(name) for name in source.names]
            in_60 = all(f.setup <= LAST_SETUP["ntu60"] and f.action <= 60 for f in fields)
            # A part of NTU-120 may look like NTU-60; only the user knows.
            candidates = ["ntu60", "ntu120"] if in_60 else ["ntu120", "ntu60"]
        except UserError:
            candidates = []
    if wanted in KNOWN and wanted not in candidates:
        raise UserError(f"{source.path} is not of {wanted} by its names and classes: {target}")
    return wanted if wanted in candidates else next(iter(candidates), None)


def _describe(source: Source, target: Path, flags: dict[str, Any]) -> tuple[Description, list[Row]]:
    # The description of the store, and the row of samples.csv of each clip.
    path, (bodies, joints) = source.path, source.shape
    dataset = None if source.own else find_dataset(source, target)
    known, usual = KNOWN.get(dataset), USUAL.get((joints, source.channels))
    is_published = source.prepared or (dataset is not None and usual == KINECT_V2)
    effective = {
        "names": dataset in LAST_SETUP and not source.names,
        "protocol": dataset not in LAST_SETUP or not source.names,
        "skeleton": not (is_published and usual),
    }
    for flag in flags:
        if source.own or not effective.get(flag, not is_published):
            raise UserError(f"--{flag} has no effect on {path}: {source.kind}")
    if source.own:
        return source.own
    if is_published and not source.prepared:
        refuse_turned(path, len(source.labels), source.read)
    skeleton = flags.get("skeleton") or usual
    if skeleton is None or skeleton.num_joints != joints:
        raise UserError(f"{path} holds bodies of {joints} joints; name their --skeleton")
    about = {
        "layout": Layout(skeleton, bodies),
        "origin": f"{source.kind}: {path.name}",
        "command": f"python -m tools.convert import {path.name} {target.name}",
    }
    if not is_published:
        # Unless --channels says what they are, x y z are examined for confidences.
        channels = flags.get("channels") or source.channels.replace("xyz", "") or None
        axes, unit = flags.get("axes"), flags.get("unit")
        reading = Reading(about["layout"], skeleton, axes=axes, channels=channels, unit=unit)
        reading = reading.with_defaults(channels in ("xy", "xyc")).to_plain()
        about |= {"alignment": "upright", "reading": reading}
    if known:
        title = known.title if skeleton == KINECT_V2 else f"{known.title} ({skeleton.name})"
        description = replace(known, title=title, **about)
    else:
        classes = tuple(f"action {i + 1}" for i in range(source.labels.max() + 1)) or UNLABELED
        about |= {"classes": classes, "splits": {"split": Split("split")}}
        description = Description(path.stem, **about)
    return _split(source, dataset, description, flags)


def _split(
    source: Source, dataset: str | None, description: Description, flags: dict[str, Any]
) -> tuple[Description, list[Row]]:
    path, names, splits = source.path, source.names, source.splits
    if dataset in LAST_SETUP and (names or "names" in flags):
        last_setup = LAST_SETUP[dataset]
        names = names or match_names(flags["names"], source, description, last_setup)
        rows = [(name, tuple(parse_name(name)), ()) for name in names]
        columns = dict(zip(FIELDS, np.array([fields for _, fields, _ in rows]).T, strict=True))
        if (wrong := (source.labels >= 0) & (source.labels != columns["action"] - 1)).any():
            raise UserError(f"{path}: {names[wrong.argmax()]} has the label of another class")
        for p in splits.keys() & description.splits.keys():
            if other := (description.train_mask(p, columns) != splits[p]).sum():
                print(f"warning: {path} splits {other} clips otherwise than {p} of the store")
        return description, rows
    if protocol := flags.get("protocol"):
        if protocol not in splits:
            raise UserError(f"--protocol {protocol}: {path} has {', '.join(splits) or 'no split'}")
        splits = {protocol: splits[protocol]}
    whole = {p: split for p, split in splits.items() if (split >= 0).all()}
    if not whole and len(splits) > 1:
        raise UserError(f"{path}: no split holds all clips; name one: --protocol {min(splits)}")
    splits = whole or splits or {"split": np.ones(len(source.labels), int)}
    if dataset and (wrong := sorted(splits.keys() - description.splits.keys())):
        raise UserError(f"{path}: {dataset} has no protocol {wrong[0]}")
    if not names:
        (split,) = splits.values()
        digits = len(str(len(split)))
        names = [f"{'train' if t else 'test'}_{i:0{digits}d}" for i, t in enumerate(split, 1)]
    # Setup, camera, subject and replication are unknown.
    fields = [(1, 1, 1, 1, max(label, 0) + 1) for label in source.labels.tolist()]
    columns = zip(*(split.tolist() for split in splits.values()), strict=True)
    official = {p: n for p, n in description.official.items() if p in splits}
    description = replace(description, splits={p: Split(p) for p in splits}, official=official)
    return description, list(zip(names, fields, columns, strict=True))
