"""Import the clips of other codes' files as a store."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from common import UserError
from data_gen.clip import prepare_clip, require_metres
from data_gen.gendata import Report
from data_gen.readers.raw_folders import official_missing
from data_gen.readers.skeleton_file import SUFFIX, parse_name
from data_gen.writer import StoreWriter
from feeder.datasets.known import KNOWN
from feeder.datasets.ntu import DATASETS as NTU_DATASETS
from feeder.datasets.ntu import LAST_SETUP
from feeder.description import FIELDS, Description, Split
from feeder.skeletons import NTU
from tools.formats.reading import Row, Source

# Number of classes -> data sets, the usual one first, for files without names.
BY_CLASSES = {60: ("ntu60",), 120: ("ntu120",), 51: ("pkummd2", "pkummd1")}


def write_store(source: Source, target: Path, listed: Path | None, report: Report) -> StoreWriter:
    """Write the clips of a source as a store; clips that show nobody go to the report.

    target: the folder of the store; its name may be that of a data set.
    listed: a file with a list of the clips' names, see `match_names`.
    Raises UserError where the clips do not fit together.
    """
    if not len(source.labels):
        raise UserError(f"{source.path} holds no clip")
    description, rows = source.own or _describe(source, target, listed)
    if not len(rows) == len({name for name, *_ in rows}) == len(source.labels):
        raise UserError(f"{source.path}: a clip's name occurs twice")
    with StoreWriter(target, description) as store:
        for i in tqdm(
            sorted(range(len(rows)), key=lambda i: rows[i][0]), unit="clip", disable=None
        ):
            name, fields, more = rows[i]
            if fields[-1] != source.labels[i] + 1:  # the action
                raise UserError(
                    f"{source.path}: {name} has the label {source.labels[i]}, by its name it is "
                    f"class {fields[-1] - 1} from 0; take names and labels that belong together"
                )
            clip = source.read(i)
            if not source.prepared:
                clip = _prepare(f"{source.path}: {name}", clip)
            if clip is None or not len(clip):
                report.note("left out, without any body", name)
            else:
                store.add(name, fields, clip, more)
        if not store.clips:
            raise UserError(f"{source.path} holds no clip that shows anybody")
        store.commit()
    return store


def _prepare(name: str, clip: np.ndarray) -> np.ndarray | None:
    require_metres(name, clip)
    bodies = clip.astype(np.float64)
    if np.array_equal(bodies[:, 0], bodies[:, 1]):  # some files repeat a single person
        bodies[:, 1] = 0
    return prepare_clip(bodies)


def _describe(source: Source, target: Path, listed: Path | None) -> tuple[Description, list[Row]]:
    """The description of the store, and the row of samples.csv of each clip."""
    dataset, names, training = find_dataset(source, target), source.names, source.training
    about = {
        "origin": f"{source.kind}: {source.path.name}"[:200],
        "command": f"python -m tools.convert import {source.path.name} {target.name}"[:200],
    }
    if listed and (names or dataset not in NTU_DATASETS):
        raise UserError(f"--names is for NTU RGB+D without names, which {source.path} is not")
    known = KNOWN.get(dataset)
    if known and (wrong := sorted(training.keys() - known.splits.keys())):
        has = " and ".join(known.splits)
        raise UserError(f"{source.path}: {dataset} has no protocol {wrong[0]}; it has {has}")
    if known and (names or listed):
        names = names or match_names(listed, source, known, LAST_SETUP[dataset])
        rows = [(name, tuple(parse_name(name)), ()) for name in names]
        _compare_splits(source, known, rows)
        return replace(known, **about), rows
    splits = {protocol: Split(protocol) for protocol in training}
    if known:
        official = {p: n for p, n in known.official.items() if p in splits}
        description = replace(known, splits=splits, official=official, **about)
    else:
        classes = tuple(f"action {i + 1}" for i in range(source.labels.max() + 1))
        description = Description(source.path.stem[:200], NTU, classes, splits, **about)
    if not names:
        (mask,) = training.values()
        digits = len(str(len(mask)))
        names = [f"{'train' if t else 'test'}_{i:0{digits}d}" for i, t in enumerate(mask, 1)]
    columns = [training[column].astype(int).tolist() for column in description.more_columns]
    # Setup, camera, subject and replication are unknown.
    fields = [(1, 1, 1, 1, label + 1) for label in source.labels.tolist()]
    return description, list(zip(names, fields, zip(*columns, strict=True), strict=True))


def find_dataset(source: Source, target: Path) -> str | None:
    """The name of a source's data set (ntu60, ntu120, pkummd2 ...); None where it is no known one.

    Raises UserError where the target's name is that of another data set.
    """
    wanted = target.resolve().name
    if source.num_classes is not None:
        known = BY_CLASSES.get(source.num_classes, (None,))
        dataset = wanted if wanted in known else known[0]
    else:
        try:
            fields = [parse_name(name) for name in source.names]
            in_60 = all(f.setup <= LAST_SETUP["ntu60"] and f.action <= 60 for f in fields)
            # A part of NTU-120 may look like NTU-60; only the user knows.
            dataset = wanted if wanted in NTU_DATASETS else "ntu60" if in_60 else "ntu120"
        except UserError as error:
            if wanted in NTU_DATASETS or not source.training:
                raise UserError(f"{source.path}: {error}") from None
            dataset = None
    if wanted != dataset and wanted in KNOWN:
        raise UserError(f"{target} is the name of another data set than that of {source.path}")
    return dataset


def _compare_splits(source: Source, description: Description, rows: list[Row]) -> None:
    # Say where the file splits a protocol otherwise than the data set's rule, which is taken.
    columns = dict(zip(FIELDS, np.array([fields for _, fields, _ in rows]).T, strict=True))
    for protocol, training in source.training.items():
        if other := (description.train_mask(protocol, columns) != training).sum():
            print(
                f"warning: {other} clips are in another half of {protocol} in {source.path} than "
                f"by the rule of {description.title}, which the store has"
            )


def match_names(path: Path, source: Source, description: Description, last_setup: int) -> list[str]:
    """The names of a source's clips from a list of names, in the order of the source.

    path: a text file with one name a line, such as CTR-GCN's skes_available_name.txt.
    last_setup: the last setup of the data set; names of later ones are skipped.

    CTR-GCN and MAMP order the clips of each half by the subject, the camera or the setup, whichever
    splits the halves, and then as the list does, without the officially missing clips. Raises
    UserError where names and labels do not agree.
    """
    lines = (line.strip().removesuffix(SUFFIX) for line in path.read_text().splitlines())
    try:
        listed = {name: parse_name(name) for name in lines if name}
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    ((protocol, training),) = source.training.items()
    column = description.splits[protocol].column
    missing, classes = official_missing(last_setup), description.num_classes
    found = {True: [], False: []}  # whether they train: names
    for name, fields in sorted(listed.items(), key=lambda item: getattr(item[1], column)):
        if name not in missing and fields.setup <= last_setup and fields.action <= classes:
            value = np.array([getattr(fields, column)])
            found[bool(description.train_mask(protocol, {column: value}))].append(name)
    names = found[True] + found[False]
    actions = [listed[name].action - 1 for name in names]
    if len(found[True]) != training.sum() or actions != source.labels.tolist():
        raise UserError(
            f"{path}: its {len(found[True])} training and {len(found[False])} test names do not "
            f"fit the {training.sum()} and {(~training).sum()} clips and their labels; take the "
            "list that the file was made from, without the clips that were left out"
        )
    return names
