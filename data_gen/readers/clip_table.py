"""Which recordings of one's own become clips: a table of files, or all files in a folder.

A table is a CSV file with the column `file`. It may have `label`; columns of splits, which hold
`train` or `test` (`val` counts as test, or as train if there is `test` too); and `subject`,
`camera`, `setup`, `replication`: whole numbers from 1, or words. Other columns are not read.
Without a label there are no classes; without a split all clips are training clips.
"""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from common import UserError
from data_gen.readers import pose_json
from data_gen.readers.recording import SUFFIXES
from feeder.description import FIELDS, UNLABELED

COLUMNS = (*FIELDS[:-1], "label")
SPLITS = ("split", "cross_subject", "cross_view", "cross_setup")  # columns read as splits
PARTS = {
    **dict.fromkeys(("train", "training", "1"), "train"),
    **dict.fromkeys(("test", "testing", "0"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
}
TABLE_COLUMNS = {"file", "recording"}  # a CSV file with one of them is no recording


class Clip(NamedTuple):
    """A recording and its row of samples.csv."""

    name: str  # its path in the folder without suffix
    path: Path
    fields: tuple[int, ...] = (1, 1, 1, 1, 1)  # setup, camera, subject, replication, action
    training: tuple[int, ...] = (1,)  # for each split 1 for a training clip, 0 for a test clip


class ClipTable(NamedTuple):
    clips: list[Clip]  # sorted by name
    classes: tuple[str, ...] = UNLABELED  # the names of actions 1, 2, ...
    splits: tuple[str, ...] = ("split",)
    notes: tuple[str, ...] = ()  # for the user


def find_recordings(folder: Path) -> list[Path]:
    """The recordings at any depth below a folder, sorted: not hidden files, nor tables of clips."""
    found: list[Path] = []
    for place, inside, names in os.walk(folder, followlinks=True):
        inside[:] = [name for name in inside if not name.startswith(".")]
        frames = pose_json.frame_files(Path(place))
        paths = (Path(place, name) for name in names if not name.startswith("."))
        found += [path for path in paths if path not in frames and _may_be(path)]
        found += [Path(place)] * bool(frames)
    if not found:
        raise UserError(f"{folder} holds no recording ({', '.join(SUFFIXES)})")
    return sorted(found)


def _may_be(path: Path) -> bool:
    # Whether a file is a recording, by its suffix and, of tables and JSON files, its beginning.
    suffix = path.suffix.lower()
    if suffix == ".csv":
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            return not TABLE_COLUMNS & set(file.readline().strip().replace(";", ",").split(","))
    if suffix == ".json":
        return pose_json.is_pose_file(path, b'"people"', b'"data"')
    return suffix in SUFFIXES


def all_recordings(folder: Path) -> ClipTable:
    """All recordings in a folder as training clips without labels."""
    paths = find_recordings(folder)
    root = folder.absolute().parent if paths == [folder] else folder  # the folder is a recording
    return ClipTable(sorted(map(Clip, _names(folder, root, paths), paths)))


def read_clip_table(path: Path, folder: Path, splits: Sequence[str] = ()) -> ClipTable:
    """Read a table. Classes are in alphabetical order, or by number if all labels are numbers.

    folder: where the files are; absolute paths must lead into it
    splits: the columns of splits; empty for all columns in SPLITS that the table has
    """
    columns = _columns(path)
    splits = tuple(splits) or tuple(column for column in SPLITS if column in columns)
    for column in ("file", *splits):
        if column not in columns:
            raise UserError(f"{path}: no column {column!r}; there are {', '.join(columns)}")
        if not column.isidentifier() or column in ("name", "start", "frames"):
            raise UserError(f"{path}: the column {column!r} cannot be a split; rename it")
    files = [folder / file for file in columns["file"]]
    notes, fields, training = [], [], []
    for column in COLUMNS:
        values = columns.get(column, ["1"] * len(files))
        if "" in values:
            raise UserError(f"{path}, line {values.index('') + 2}: {column} is empty")
        are_whole = all(value.isascii() and value.isdigit() for value in values)
        words = sorted(set(values), key=int if are_whole else None)
        number = {word: i for i, word in enumerate(words, 1)}
        if column != "label" and are_whole and int(words[0]) > 0:
            number = {word: int(word) for word in words}
        elif column != "label":
            notes.append(f"{column} numbered in alphabetical order")
        fields.append([number[value] for value in values])
    for column in splits:
        parts = [PARTS.get(value.lower(), "") for value in columns[column]]
        if "" in parts:
            line = parts.index("") + 2
            raise UserError(f"{path}, line {line}: {column} is not train, val or test")
        train = {"train", "val"} if {"val", "test"} <= set(parts) else {"train"}
        if "val" in train:
            notes.append(f"{column}: val clips are training clips, since there are test clips")
        training.append([int(part in train) for part in parts])
    if not splits:
        notes.append("no column of a split, so all clips are training clips")
        splits, training = ("split",), [[1] * len(files)]
    rows = zip(_names(path, folder, files), files, zip(*fields, strict=True),
               zip(*training, strict=True), strict=True)  # fmt: skip
    clips = sorted(Clip(*row) for row in rows)
    return ClipTable(clips, tuple(words) if "label" in columns else UNLABELED, splits, tuple(notes))


def _columns(path: Path) -> dict[str, list[str]]:
    try:
        text = path.read_text(encoding="utf-8-sig").rstrip()
        mark = "," if "," in text.partition("\n")[0] else ";"
        header, *rows = csv.reader(text.splitlines(), delimiter=mark, strict=True)
    except (ValueError, csv.Error) as error:  # not a text, or empty
        raise UserError(f"{path}: not a CSV table ({error})") from None
    for line, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise UserError(f"{path}, line {line}: {len(row)} values, not {len(header)}")
    columns = zip(*([value.strip() for value in row] for row in (header, *rows)), strict=True)
    columns = {name: values for name, *values in columns}
    if not rows or len(columns) < len(header):
        raise UserError(f"{path}: holds no clip, or a column twice")
    return columns


def _names(source: Path, folder: Path, paths: list[Path]) -> list[str]:
    names: dict[str, Path] = {}
    for path in paths:
        try:
            inside = path.absolute().relative_to(folder.absolute())
        except ValueError:
            inside = Path("..")
        if ".." in inside.parts or not inside.name:
            raise UserError(f"{path} is not inside {folder}; --data_path names the folder")
        name = (inside.with_suffix("") if path.suffix.lower() in SUFFIXES else inside).as_posix()
        if (other := names.setdefault(name, path)) is not path:
            raise UserError(f"{source}: {other} and {path} are both the clip {name!r}")
    return list(names)
