"""Write the clips of other codes' files as a store."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from data_gen.preparing.clip import prepare_clip
from data_gen.preparing.report import progress, warn
from data_gen.preparing.store import StoreError as WriteError
from data_gen.preparing.store import StoreWriter
from data_gen.readers.skeleton_file import SkeletonFileError, parse_name
from feeder.datasets.known import KNOWN
from feeder.datasets.ntu import DATASETS as NTU_DATASETS
from feeder.datasets.ntu import LAST_SETUP
from feeder.description import FIELDS, Description, Split
from feeder.skeletons import MAX_METRES, NTU, DescriptionError
from tools.cli import UserError
from tools.formats.clip_names import recover
from tools.formats.foreign_clips import Clip, Source, refuse_turned

# Number of classes -> data set, for files without names. 51 classes are PKU-MMD phase II, the usual
# one in such files, unless the target's name is that of phase I.
BY_CLASSES = {60: ("ntu60",), 120: ("ntu120",), 51: ("pkummd2", "pkummd1")}
UNKNOWN = (1, 1, 1, 1)  # setup, camera, subject and replication of a clip without a name
MOST_TITLE = 200  # characters of a title


def write_store(source: Source, target: Path, names: Path | None) -> int:
    """Write the clips of a source as a store; returns how many clips show nobody and are left out.

    source: the clips.
    target: the folder of the store.
    names: a file with a list of the clips' names, or None.
    Raises UserError where the clips do not fit together or cannot be brought to the method's
    normalization.
    """
    if not len(source.labels):
        raise UserError(f"{source.path}: there is no clip in it")
    if source.own:
        description, clips = source.own
    else:
        refuse_turned(source.path, len(source.labels), source.read)
        try:
            description = describe(source, target, named=bool(source.names or names))
        except DescriptionError as error:
            raise UserError(f"{source.path}: {error}") from None
        clips = name_clips(source, description, names, target)
    check_names(source, clips)
    order = sorted(range(len(clips)), key=lambda row: clips[row].name)
    left_out = 0
    try:
        with StoreWriter(target, description) as store:
            for row in progress(order, len(order)):
                name, fields, more = clips[row]
                clip = prepared(source, row, name)
                if clip is None:
                    left_out += 1
                else:
                    store.add(name, fields, clip, more)
            if not store.clips:
                raise UserError(f"{source.path}: there is no clip in it")
            store.commit()
    except WriteError as error:
        raise UserError(str(error)) from None
    return left_out


def prepared(source: Source, row: int, name: str) -> np.ndarray | None:
    """A clip (T, 2, 25, 3) float32 as a store holds it; None where it shows nobody."""
    clip = source.read(row)
    if not (np.abs(clip) <= MAX_METRES).all():  # NaN fails, too
        raise UserError(
            f"{source.path}: {name} holds a coordinate that is no number up to {MAX_METRES:g} m"
        )
    if source.prepared or not len(clip):
        return clip if len(clip) else None
    bodies = clip.astype(np.float64)
    if np.array_equal(bodies[:, 0], bodies[:, 1]):  # some files repeat a single person
        bodies[:, 1] = 0
    return prepare_clip(bodies)


# ---- which data set


def describe(source: Source, target: Path, *, named: bool) -> Description:
    """The description that the store will have.

    source: the clips.
    target: the folder of the store; its name may be that of a data set.
    named: whether the clips have names. Without names only the halves of the file can split the
        store.
    Raises UserError where the folder's name is that of another data set.
    """
    dataset = find_dataset(source, target)
    for protocol in source.training if dataset else ():
        if protocol not in (has := KNOWN[dataset].splits):
            has = " and ".join(has)
            raise UserError(f"{source.path}: {dataset} has no protocol {protocol}; it has {has}")
    about = {
        "origin": f"{source.kind}: {source.path.name}"[:MOST_TITLE],
        "command": f"python -m tools.convert import {source.path.name} {target.name}"[:MOST_TITLE],
    }
    if dataset in NTU_DATASETS and named:
        return replace(KNOWN[dataset], **about)
    splits = {protocol: Split(protocol) for protocol in source.training}
    if not splits:
        raise UserError(f"{source.path}: no split of it holds all clips")
    if dataset is None:
        classes = tuple(f"action {i + 1}" for i in range(int(source.labels.max(initial=0)) + 1))
        return Description(source.path.stem[:MOST_TITLE], NTU, classes, splits, **about)
    official = {p: n for p, n in KNOWN[dataset].official.items() if p in splits}
    return replace(KNOWN[dataset], splits=splits, official=official, **about)


def find_dataset(source: Source, target: Path) -> str | None:
    """The name of a source's data set (ntu60, ntu120, pkummd2 …); None where it is no known one.

    Raises UserError where the target's name is that of another data set.
    """
    wanted = target.resolve().name
    if source.num_classes is not None:
        known = BY_CLASSES.get(source.num_classes, (None,))
        dataset = wanted if wanted in known else known[0]
    else:
        try:
            fields = [parse_name(name) for name in source.names]
        except SkeletonFileError as error:
            if wanted in NTU_DATASETS or not source.training:
                raise UserError(f"{source.path}: {error}") from None
            fields = []
        in_60 = all(f.setup <= LAST_SETUP["ntu60"] and f.action <= 60 for f in fields)
        dataset = ("ntu60" if in_60 else "ntu120") if fields else None
        # A part of NTU-120 may look like NTU-60; only the user knows.
        dataset = wanted if dataset and wanted in NTU_DATASETS else dataset
    if wanted != dataset and wanted in KNOWN:
        holds = dataset or f"{int(source.labels.max(initial=-1)) + 1} classes"
        raise UserError(f"{target} is the name of another data set: {source.path} is of {holds}")
    return dataset


# ---- names


def name_clips(
    source: Source, description: Description, listed: Path | None, target: Path
) -> list[Clip]:
    """The row of samples.csv of each clip: name, fields, and further columns.

    listed: a file with a list of names, or None.
    """
    names = source.names
    if names is None and listed:
        dataset = find_dataset(source, target)
        if dataset not in NTU_DATASETS:
            raise UserError(f"--names is for NTU RGB+D; {source.path} is of other data")
        names = recover(listed, source, description, LAST_SETUP[dataset])
    elif listed:
        raise UserError(f"--names is for files without names; {source.path} holds names")
    if names is None:
        names = _invented(source)
    columns = [source.training[column] for column in description.more_columns]
    clips = []
    for row, (name, label) in enumerate(zip(names, source.labels.tolist(), strict=True)):
        more = tuple(int(column[row]) for column in columns)
        clips.append(Clip(name, _fields(source, name, label, bool(more)), more))
    _compare_splits(source, description, clips)
    return clips


def _compare_splits(source: Source, description: Description, clips: list[Clip]) -> None:
    """Warn where the file splits a protocol otherwise than the data set's rule.

    The rule is taken.
    """
    columns = dict(zip(FIELDS, np.array([clip.fields for clip in clips]).T, strict=True))
    for protocol, training in source.training.items():
        if description.splits[protocol].column in FIELDS:
            other = int((description.train_mask(protocol, columns) != training).sum())
            if other:
                warn(
                    f"{other} clips are in another half of {protocol} in {source.path} than by the "
                    f"rule of {description.title}; the store has the rule's"
                )


def check_names(source: Source, clips: list[Clip]) -> None:
    """Raise UserError unless the clips agree with the source, and each has a name of its own."""
    names = [clip.name for clip in clips]
    if source.names not in (None, names) or len(names) != len(source.labels):
        raise UserError(f"{source.path}: the names in it do not agree")
    if len(set(names)) < len(names):
        raise UserError(f"{source.path}: a clip's name occurs twice")
    if strange := [name for name in names if not (name.strip() and name.isprintable())]:
        raise UserError(f"{source.path}: {strange[0][:60]!r} is no name of a clip")
    for clip, label in zip(clips, source.labels.tolist(), strict=True):
        if clip.fields[-1] != label + 1:  # the action
            raise UserError(
                f"{source.path}: {clip.name} has the label {label}, by its name it is class "
                f"{clip.fields[-1] - 1} from 0; take names and labels that belong together"
            )


def _invented(source: Source) -> list[str]:
    (training,) = list(source.training.values())[:1]
    digits = len(str(len(training)))
    return [f"{'train' if train else 'test'}_{i:0{digits}d}" for i, train in enumerate(training, 1)]


def _fields(source: Source, name: str, label: int, by_column: bool) -> tuple[int, ...]:
    # setup, camera, subject, replication, action
    try:
        fields = parse_name(name)
    except SkeletonFileError as error:
        if by_column:
            return (*UNKNOWN, label + 1)
        raise UserError(f"{source.path}: {error}") from None
    return fields
