"""Import the clips of other codes' files as a store: those of NTU RGB+D and PKU-MMD are prepared by
the published rule, others as by `own_gendata.py`, in any axes and with missing joints.
"""

from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from common import UserError
from data_gen.clip import prepare_clip, prepare_upright
from data_gen.gendata import Report
from data_gen.readers.recording import Reading, check_axes, recording_of
from data_gen.readers.skeleton_file import parse_name
from data_gen.writer import StoreWriter
from feeder.datasets import KNOWN, LAST_SETUP
from feeder.description import FIELDS, UNLABELED, Description, Split
from feeder.skeletons import COCO_17, KINECT_V2, Layout, require_metres
from tools.formats.arrays import open_arrays
from tools.formats.ctrgcn import match_names, open_npz
from tools.formats.pyskl import open_pkl
from tools.formats.source import Row, Source, columns_of, refuse_turned

# Number of classes -> data sets, the usual one first, for files without names.
BY_CLASSES = {60: ["ntu60"], 120: ["ntu120"], 51: ["pkummd2", "pkummd1"]}
# Joints and channels, as a Source has them -> skeleton.
USUAL = {(25, None): KINECT_V2, (17, "xy"): COCO_17, (17, "xyc"): COCO_17}


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
        fault = "AimCLR's *_position.npy has each body moved and turned by itself in each frame"
        raise UserError(f"{path}: {fault}; take the arrays that they were made from")
    inner = [name for name in names if list((path / name).glob("*_data*.npy"))]
    hint = f"; name one of its folders {', '.join(inner)}" if inner else ""
    known = "UmURL's, USDRL's, ST-GCN's, CrosSCLR's, CTR-GCN's, MAMP's nor pyskl's"
    raise UserError(f"{path} is neither {known}{hint}")


def write_store(source: Source, target: Path, **flags: Any) -> StoreWriter:
    """Write the clips of a source as a store, and print which cannot be used.
    Raises UserError if they do not fit together, or if one of the given flags has no effect.
    """
    report = Report(strict=False)
    description, rows = _describe(source, target, flags)
    if len(dict(rows)) < len(rows):
        raise UserError(f"{source.path}: a clip's name occurs twice")
    by_name = sorted(enumerate(rows), key=lambda numbered: numbered[1])
    ups = []
    with StoreWriter(target, description) as store:
        for i, row in tqdm(by_name, unit="clip", disable=None):
            name, values = row
            try:
                prepared = _prepare(source, i, row, description)
            except Exception as error:  # a damaged clip can raise nearly any error
                is_named = isinstance(error, UserError)
                report.malformed(error if is_named else f"{name}: {type(error).__name__}: {error}")
                continue
            if prepared is None:
                report.note(f"left out, without {source.absent}", name)
                continue
            clip, up, notes = prepared
            store.add(name, values[: len(FIELDS)], clip, values[len(FIELDS) :])
            ups.append(up)
            for note in notes:
                report.note(note, name)
        report.print()
        check_axes(ups, flags.get("axes"))
        store.commit()
    return store


def _prepare(source: Source, i: int, row: Row, description: Description) -> tuple | None:
    (name, values), layout = row, description.layout
    if min(values) < 0:
        raise UserError(f"{name}: neither a training nor a test clip of the split")
    if description.classes != UNLABELED and source.labels[i] < 0:
        raise UserError(f"{name}: it has no label")
    clip = source.read(i)
    if not len(clip):
        return None
    is_prepared = source.prepared or source.own
    if not is_prepared:
        clip = clip.astype(np.float64)
        if clip.shape[1] == 2 and np.array_equal(clip[:, 0], clip[:, 1]):
            clip[:, 1] = 0  # some files repeat a single person
        if description.alignment == "upright":
            reading = Reading.of_store(layout, description.preparation)
            return prepare_upright(recording_of(name, clip, reading), layout)
    require_metres(name, clip)
    if not is_prepared:
        clip = prepare_clip(clip, layout, description.reading.get("by_energy", True))
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
            columns = columns_of(source.names)
            in_60 = ((columns["setup"] <= LAST_SETUP["ntu60"]) & (columns["action"] <= 60)).all()
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
    is_ntu, usual = dataset in LAST_SETUP, USUAL.get((joints, source.channels))
    is_published = source.prepared or (dataset is not None and usual == KINECT_V2)
    effective = {
        "names": is_ntu and not source.names,
        "protocol": not (is_ntu and source.names),
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
    if known := KNOWN.get(dataset):
        title = known.title if skeleton == KINECT_V2 else f"{known.title} ({skeleton.name})"
        classes, official, reading = known.classes, known.official, known.reading
    else:
        title, official, reading = path.stem, {}, {}
        classes = tuple(f"action {i + 1}" for i in range(source.labels.max() + 1)) or UNLABELED
    layout = Layout(skeleton, bodies)
    alignment = "kinect"
    if not is_published:
        alignment, channels = "upright", flags.get("channels") or source.channels
        # Without channels, x y z are examined for confidences.
        options = Reading(layout, skeleton, flags.get("axes"), channels, flags.get("unit"))
        reading = options.with_defaults(channels in ("xy", "xyc")).to_plain()
    splits, rows = _rows(source, dataset, flags)
    description = Description(
        title=title,
        layout=layout,
        classes=classes,
        splits=splits,
        origin=f"{source.kind}: {path.name}",
        command=f"python -m tools.convert import {path.name} {target.name}",
        official={protocol: counts for protocol, counts in official.items() if protocol in splits},
        alignment=alignment,
        reading=reading,
    )
    return description, rows


def _rows(source: Source, dataset: str | None, flags: dict[str, Any]) -> tuple[dict, list[Row]]:
    # {protocol: its Split} of the store, and the row of samples.csv of each clip.
    path, names, splits = source.path, source.names, source.splits
    known = KNOWN.get(dataset)
    if dataset in LAST_SETUP and (names or "names" in flags):
        names = names or match_names(flags["names"], source, dataset)
        columns = columns_of(names)
        if (wrong := (source.labels >= 0) & (source.labels != columns["action"] - 1)).any():
            raise UserError(f"{path}: {names[wrong.argmax()]} has the label of another class")
        for p in splits.keys() & known.splits.keys():
            if other := (known.train_mask(p, columns) != splits[p]).sum():
                print(f"warning: {path} splits {other} clips otherwise than {p} of the store")
        return known.splits, [(name, tuple(parse_name(name))) for name in names]
    if protocol := flags.get("protocol"):
        if protocol not in splits:
            raise UserError(f"--protocol {protocol}: {path} has {', '.join(splits) or 'no split'}")
        splits = {protocol: splits[protocol]}
    whole = {p: split for p, split in splits.items() if (split >= 0).all()}
    if not whole and len(splits) > 1:
        raise UserError(f"{path}: no split holds all clips; name one: --protocol {min(splits)}")
    splits = whole or splits or {"split": np.ones(len(source.labels), int)}
    if known and (wrong := sorted(splits.keys() - known.splits.keys())):
        raise UserError(f"{path}: {dataset} has no protocol {wrong[0]}")
    if not names:
        (split,) = splits.values()
        digits = len(str(len(split)))
        names = [f"{'train' if t else 'test'}_{i:0{digits}d}" for i, t in enumerate(split, 1)]
    actions, ones = np.maximum(source.labels, 0) + 1, np.ones((len(names), 4), int)
    # Setup, camera, subject and replication are unknown.
    values = map(tuple, np.column_stack([ones, actions, *splits.values()]).tolist())
    return {protocol: Split(protocol) for protocol in splits}, list(zip(names, values, strict=True))
