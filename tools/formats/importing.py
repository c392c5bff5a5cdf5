"""Import the clips of other codes' files as a store.

Clips of NTU RGB+D and PKU-MMD are prepared by the published rule. Other recordings are prepared as
`own_gendata.py` prepares them: people may stand in any axes, and joints may be missing.
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
from data_gen.readers.skeleton_file import SUFFIX, official_missing, parse_name
from data_gen.writer import StoreWriter
from feeder.datasets.known import KNOWN
from feeder.datasets.ntu import LAST_SETUP
from feeder.description import FIELDS, UNLABELED, Description, Split
from feeder.skeletons import COCO_17, KINECT_V2, Layout
from tools.formats.source import Row, Source, refuse_turned

# Number of classes -> data sets, the usual one first, for files without names.
BY_CLASSES = {60: ["ntu60"], 120: ["ntu120"], 51: ["pkummd2", "pkummd1"]}
# Joints and channels -> skeleton.
USUAL = {(25, "xyz"): KINECT_V2, (17, "xy"): COCO_17, (17, "xyc"): COCO_17}


def write_store(source: Source, target: Path, report: Report, **flags: Any) -> StoreWriter:
    """Write the clips of a source as a store; those that cannot be used go to the report.

    target: the folder of the store; its name may be that of a data set.
    flags: those of `tools.convert import` that are given: names (the path of a list), protocol,
        skeleton; and axes, channels, unit, as in `Reading`.
    Raises UserError where the clips do not fit together, or where a flag has no effect.
    """
    dataset = None if source.own else find_dataset(source, target)
    usual = USUAL.get((source.shape[1], source.channels))
    is_published = source.prepared or (dataset is not None and usual == KINECT_V2)
    effective = {
        "names": dataset in LAST_SETUP and not source.names,
        "protocol": dataset not in LAST_SETUP or not source.names,
        "skeleton": not (is_published and usual),
    }
    for flag in flags:
        if source.own or not effective.get(flag, not is_published):
            raise UserError(f"--{flag} has no effect on {source.path}: {source.kind}")
    if is_published and not source.prepared:
        refuse_turned(source.path, len(source.labels), source.read)
    if source.own:
        description, rows = source.own
    else:
        description = _describe(source, dataset, target, is_published, flags)
        description, rows = _split(source, dataset, description, flags)
    if len({name for name, *_ in rows}) < len(rows):
        raise UserError(f"{source.path}: a clip's name occurs twice")
    order, ups = sorted(range(len(rows)), key=lambda i: rows[i][0]), []
    with StoreWriter(target, description) as store:
        for i in tqdm(order, unit="clip", disable=None):
            name, fields, more = rows[i]
            try:
                prepared = _prepare(source, i, rows[i], description)
            except UserError as error:
                report.malformed(str(error))
                continue
            except Exception as error:  # a damaged clip can raise nearly any error
                report.malformed(f"{name}: {type(error).__name__}: {error}")
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
        if not store.clips:
            raise UserError(f"{source.path} holds no clip that can be used")
        check_axes(ups, flags.get("axes"))
        store.commit()
    return store


def _prepare(source: Source, i: int, row: Row, description: Description) -> tuple | None:
    (name, _, more), label, layout = row, source.labels[i], description.layout
    if min(more, default=0) < 0:
        raise UserError(f"{name}: it is in no half of the split")
    if description.classes != UNLABELED and label < 0:
        raise UserError(f"{name}: it has no label")
    clip = source.read(i)
    if not len(clip):
        return None
    if not source.prepared:
        clip = clip.astype(np.float64)
        if clip.shape[1] == 2 and np.array_equal(clip[:, 0], clip[:, 1]):
            clip[:, 1] = 0  # some files repeat a single person
        if description.alignment == "upright":
            reading = Reading.of_store(layout, description.reading)
            return prepare_upright(recording_of(name, clip, reading), layout)
    require_metres(name, clip)
    clip = clip if source.prepared else prepare_clip(clip, layout)
    return None if clip is None else (clip, np.full(3, np.nan), [])


def find_dataset(source: Source, target: Path) -> str | None:
    """The name of a source's data set (ntu60, ntu120, pkummd2 ...); None where it is no known one.

    Raises UserError where the target's name is that of another data set.
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


def _describe(
    source: Source, dataset: str | None, target: Path, is_published: bool, flags: dict[str, Any]
) -> Description:
    """The description of the store, without its splits."""
    path, known, (bodies, joints) = source.path, KNOWN.get(dataset), source.shape
    skeleton = flags.get("skeleton") or USUAL.get((joints, source.channels))
    if skeleton is None or skeleton.num_joints != joints:
        raise UserError(f"{path} holds bodies of {joints} joints; name their --skeleton")
    about = {
        "layout": Layout(skeleton, bodies),
        "origin": f"{source.kind}: {path.name}",
        "command": f"python -m tools.convert import {path.name} {target.name}",
    }
    if not is_published:
        # Without a statement, x y z are examined for confidences.
        channels = flags.get("channels") or source.channels.replace("xyz", "") or None
        axes, unit = flags.get("axes"), flags.get("unit")
        reading = Reading(skeleton=skeleton, axes=axes, channels=channels, unit=unit)
        reading = reading.with_defaults(channels in ("xy", "xyc")).to_plain()
        about |= {"alignment": "upright", "reading": reading}
    if known:
        title = known.title if skeleton == KINECT_V2 else f"{known.title} ({skeleton.name})"
        return replace(known, title=title, **about)
    classes = tuple(f"action {i + 1}" for i in range(source.labels.max() + 1)) or UNLABELED
    return Description(title=path.stem, classes=classes, splits={"split": Split("split")}, **about)


def _split(
    source: Source, dataset: str | None, description: Description, flags: dict[str, Any]
) -> tuple[Description, list[Row]]:
    """The description with its splits, and the row of samples.csv of each clip."""
    path, names, halves = source.path, source.names, source.halves
    if dataset in LAST_SETUP and (names or "names" in flags):
        last_setup = LAST_SETUP[dataset]
        names = names or match_names(flags["names"], source, description, last_setup)
        rows = [(name, tuple(parse_name(name)), ()) for name in names]
        columns = dict(zip(FIELDS, np.array([fields for _, fields, _ in rows]).T, strict=True))
        if (wrong := (source.labels >= 0) & (source.labels != columns["action"] - 1)).any():
            raise UserError(f"{path}: {names[wrong.argmax()]} has the label of another class")
        for p in halves.keys() & description.splits.keys():
            if other := (description.train_mask(p, columns) != halves[p]).sum():
                print(f"warning: {path} has {other} clips in another half of {p} than the store")
        return description, rows
    if protocol := flags.get("protocol"):
        if protocol not in halves:
            raise UserError(f"--protocol {protocol}: {path} has {', '.join(halves) or 'no split'}")
        halves = {protocol: halves[protocol]}
    whole = {p: half for p, half in halves.items() if (half >= 0).all()}
    if not whole and len(halves) > 1:
        raise UserError(f"{path}: no split holds all clips; name one: --protocol {min(halves)}")
    halves = whole or halves or {"split": np.ones(len(source.labels), int)}
    if dataset and (wrong := sorted(halves.keys() - description.splits.keys())):
        raise UserError(f"{path}: {dataset} has no protocol {wrong[0]}")
    if not names:
        (half,) = halves.values()
        digits = len(str(len(half)))
        names = [f"{'train' if h else 'test'}_{i:0{digits}d}" for i, h in enumerate(half, 1)]
    # Setup, camera, subject and replication are unknown.
    fields = [(1, 1, 1, 1, max(label, 0) + 1) for label in source.labels.tolist()]
    columns = zip(*(half.tolist() for half in halves.values()), strict=True)
    official = {p: n for p, n in description.official.items() if p in halves}
    description = replace(description, splits={p: Split(p) for p in halves}, official=official)
    return description, list(zip(names, fields, columns, strict=True))


def match_names(path: Path, source: Source, description: Description, last_setup: int) -> list[str]:
    """The names of a source's clips from a list of names, in the order of the source.

    path: a text file with one name a line, such as CTR-GCN's skes_available_name.txt.
    last_setup: the last setup of the data set; names of later ones are skipped.

    CTR-GCN and MAMP order the clips of each half by the subject, the camera or the setup, whichever
    splits the halves, and then as the list does, without the officially missing clips. Raises
    UserError where names and labels do not agree.
    """
    ((protocol, training),) = source.halves.items()
    if protocol not in description.splits:
        raise UserError(f"{description.title} has no protocol {protocol}")
    missing, classes = official_missing(last_setup), len(description.classes)
    names, fields = [], []
    for line in path.read_text().splitlines():
        if name := line.strip().removesuffix(SUFFIX):
            try:
                sample = parse_name(name)
            except UserError as error:
                raise UserError(f"{path}: {error}") from None
            if name not in missing and sample.setup <= last_setup and sample.action <= classes:
                names.append(name)
                fields.append(sample)
    fields = np.array(fields, int).reshape(-1, len(FIELDS))
    train = description.train_mask(protocol, dict(zip(FIELDS, fields.T, strict=True)))
    column = fields[:, FIELDS.index(description.splits[protocol].column)]
    order = np.lexsort([column, ~train])  # stable; the last key is the first criterion
    if train.sum() != training.sum() or (fields[order, -1] - 1).tolist() != source.labels.tolist():
        raise UserError(
            f"{path}: its {train.sum()} training and {(~train).sum()} test names do not fit the "
            f"{training.sum()} and {(1 - training).sum()} clips and their labels; take the list "
            "that the file was made from, without the clips that were left out"
        )
    return [names[i] for i in order]
