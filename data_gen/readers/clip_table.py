"""Which recordings of one's own become clips: a table of files, or all files in a folder.

A table is a CSV file with the column `file`. It may have `label`; columns of splits, which hold
`train` or `test` (`val` is a test half, or part of the training half if there is `test` too); and
`subject`, `camera`, `setup`, `replication`: whole numbers from 1, or words. Other columns are not
read. Without a label there are no classes; without a split all clips are training clips.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from common import UserError
from data_gen.readers.recording import SUFFIXES, find_recordings
from feeder.description import UNLABELED

FIELDS = ("setup", "camera", "subject", "replication")
SPLITS = ("split", "cross_subject", "cross_view", "cross_setup")  # columns read as splits
HALVES = {
    "train": {"train", "training", "1"},
    "test": {"test", "testing", "0"},
    "val": {"val", "valid", "validation", "dev"},
}


class Clip(NamedTuple):
    """A recording: the name of its clip, and the columns of samples.csv.

    name: the path in the folder, without suffix
    fields: setup, camera, subject, replication, action, each from 1
    training: for each split 1 for a training clip, 0 for a test clip
    """

    name: str
    path: Path
    fields: tuple[int, ...] = (1, 1, 1, 1, 1)
    training: tuple[int, ...] = (1,)


class ClipTable(NamedTuple):
    """The clips, sorted by name.

    classes: the names of actions 1, 2, ...
    splits: the names of the splits
    notes: for the user, such as which words were numbered
    """

    clips: list[Clip]
    classes: tuple[str, ...] = UNLABELED
    splits: tuple[str, ...] = ("split",)
    notes: tuple[str, ...] = ()


def all_recordings(folder: Path) -> ClipTable:
    """All recordings in a folder, at any depth, as training clips without labels."""
    paths = find_recordings(folder)
    names = [_name(folder, path) for path in paths]
    if not paths or len(set(names)) < len(names):
        twice = next((name for name in names if names.count(name) > 1), None)
        fault = f"two files of the name {twice}" if twice else f"no file {', '.join(SUFFIXES)}"
        raise UserError(f"{folder}: {fault}")
    return ClipTable(sorted(map(Clip, names, paths)))


def read_clip_table(path: Path, folder: Path, splits: Sequence[str] = ()) -> ClipTable:
    """Read a table.

    folder: where the files are; absolute paths must lead into it
    splits: the columns of splits; empty for all columns in SPLITS that the table has
    Raises UserError with the line and the column if the table is wrong.

    Classes are sorted as numbers if all labels are whole numbers, else in alphabetical order.
    """
    columns = _columns(path)
    splits = tuple(splits) or tuple(column for column in SPLITS if column in columns)
    for column in ("file", *splits):
        if column not in columns:
            raise UserError(f"{path}: no column {column!r}; there are {', '.join(columns)}")
    files = [folder / file for file in columns["file"]]
    names = [_name(folder, file) for file in files]
    lines: dict[str, int] = {}
    for line, name in enumerate(names, 2):
        if (before := lines.setdefault(name, line)) < line:
            raise UserError(f"{path}, line {line}: {name!r} is the clip of line {before} already")
    notes, fields, training = [], [], []
    for column in (*FIELDS, "label"):
        values = columns.get(column) or ["1"] * len(files)
        if "" in values:
            raise UserError(f"{path}, line {values.index('') + 2}: {column} is empty")
        are_whole = all(value.isascii() and value.isdigit() for value in values)
        words = sorted(set(values), key=int if are_whole else None)
        if column == "label":
            classes = tuple(words) if column in columns else UNLABELED
        elif not are_whole:
            notes.append(f"{column} numbered in alphabetical order")
        numbers = {word: i for i, word in enumerate(words, 1)}
        is_number = column != "label" and are_whole and int(words[0]) > 0
        fields.append([int(value) if is_number else numbers[value] for value in values])
    for column in splits:
        halves = [_half(path, line, column, v) for line, v in enumerate(columns[column], 2)]
        train = {"train", "val"} if {"val", "test"} <= set(halves) else {"train"}
        if "val" in train:
            notes.append(f"{column}: val is part of the training half, since there is test")
        training.append([int(half in train) for half in halves])
    if not splits:
        notes.append("no column of a split, so all clips are training clips")
    rows = zip(names, files, zip(*fields, strict=True),
               zip(*training or [[1] * len(files)], strict=True), strict=True)  # fmt: skip
    clips = sorted(Clip(*row) for row in rows)
    return ClipTable(clips, classes, splits or ("split",), tuple(notes))


def _columns(path: Path) -> dict[str, list[str]]:
    try:
        text = path.read_text(encoding="utf-8-sig").rstrip()
        first = text.partition("\n")[0]
        mark = ";" if ";" in first and "," not in first else ","
        header, *rows = csv.reader(text.splitlines(), delimiter=mark, strict=True)
    except (ValueError, csv.Error) as error:  # not a text, or empty
        raise UserError(f"{path}: not a CSV table ({error})") from None
    for line, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise UserError(f"{path}, line {line}: {len(row)} values, not {len(header)}")
    header = [name.strip() for name in header]
    if not rows or len(set(header)) < len(header):
        raise UserError(f"{path}: " + ("a column is there twice" if rows else "holds no clip"))
    values = zip(*([value.strip() for value in row] for row in rows), strict=True)
    return dict(zip(header, map(list, values), strict=True))


def _name(folder: Path, path: Path) -> str:
    try:
        inside = path.absolute().relative_to(folder.absolute())
        if ".." in inside.parts or not inside.name:
            raise ValueError
    except ValueError:
        raise UserError(f"{path} is not inside {folder}; --data_path names the folder") from None
    return (inside.with_suffix("") if path.suffix in SUFFIXES else inside).as_posix()


def _half(path: Path, line: int, column: str, value: str) -> str:
    for half, words in HALVES.items():
        if value.lower() in words:
            return half
    raise UserError(f"{path}, line {line}: {column} is {value!r:.20}, not train, val or test")
