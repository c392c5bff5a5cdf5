"""Read the table of the user's own recordings: the label of each file, its subject, its split.

The table is a CSV file. It must have the columns `file` and `label`, and one column for each split,
which holds `train` or `test`. It may have `subject`, `camera`, `setup` and `replication`: whole
numbers from 1, or words. Other columns are not read.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from common import UserError

FIELDS = ("setup", "camera", "subject", "replication")
SPLITS = ("split", "cross_subject", "cross_view", "cross_setup")  # columns read as splits
TRAINS = {"train": 1, "test": 0, "1": 1, "0": 0}
MAX_BYTES = 256 * 2**20
MAX_TEXT = 200  # characters in a label or a name


class Clip(NamedTuple):
    """A line of the table.

    name: the name of the clip, which is its file without suffix
    path: the path of the file
    fields: setup, camera, subject, replication, action, each from 1
    training: for each split 1 for a training clip, 0 for a test clip
    """

    name: str
    path: Path
    fields: tuple[int, int, int, int, int]
    training: tuple[int, ...]


class ClipTable(NamedTuple):
    """What a table says.

    clips: the clips, sorted by name
    classes: the names of actions 1, 2, ...
    splits: the names of the splits
    numbered: the columns that hold words; the words were numbered in alphabetical order
    """

    clips: list[Clip]
    classes: tuple[str, ...]
    splits: tuple[str, ...]
    numbered: tuple[str, ...]


def read_clip_table(path: Path, folder: Path, splits: Sequence[str] = ()) -> ClipTable:
    """Read a table.

    path: the CSV file
    folder: the folder that the column `file` refers to; a file must lie in it
    splits: the columns of splits; empty for all columns in SPLITS that the table has
    Raises UserError with the line and the column if the table is wrong.

    Classes are sorted as numbers if all labels are whole numbers, else in alphabetical order.
    """
    header, rows = _read(path)
    splits = tuple(splits) or tuple(column for column in SPLITS if column in header)
    if not splits:
        raise UserError(f"{path}, line 1: no column {' or '.join(SPLITS)}; --splits names others")
    for column in ("file", "label", *splits):
        if column not in header:
            raise UserError(f"{path}, line 1: no column {column!r}, there are {', '.join(header)}")
    columns = {column: [row[i] for row in rows] for i, column in enumerate(header)}
    names = _names(path, columns["file"], folder)
    _check_texts(path, "label", columns["label"])
    training = [_training(path, split, columns[split]) for split in splits]
    classes = sorted(set(columns["label"]), key=_in_order(columns["label"]))
    number = {label: i for i, label in enumerate(classes, 1)}
    fields, numbered = [], []
    for column in FIELDS:
        values, words = _numbers(path, column, columns.get(column) or ["1"] * len(rows))
        fields.append(values)
        numbered += [column] if words else []
    fields.append([number[label] for label in columns["label"]])
    paths = [folder / file for file in columns["file"]]
    rows = zip(names, paths, zip(*fields, strict=True), zip(*training, strict=True), strict=True)
    clips = sorted(Clip(*row) for row in rows)
    return ClipTable(clips, tuple(classes), splits, tuple(numbered))


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    # The header and the lines. All values are texts without spaces at their ends.
    try:
        if not path.is_file():
            raise UserError(f"{path} is not there, or is no file")
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: over {MAX_BYTES // 2**20} MB, which is no table of clips")
        text = path.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        mark = ";" if ";" in first and "," not in first else ","
        lines = list(csv.reader(text.rstrip().splitlines(), delimiter=mark, strict=True))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a CSV file ({error})") from None
    header = [name.strip() for name in lines[0]] if lines else []
    if len(lines) < 2:
        raise UserError(f"{path}: holds no clip; it needs a line of columns and a line a clip")
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise UserError(f"{path}, line 1: the column {twice!r} is there twice")
    for line, row in enumerate(lines[1:], 2):
        if len(row) != len(header):
            raise UserError(f"{path}, line {line}: {len(row)} values, not {len(header)}")
    return header, [[value.strip() for value in row] for row in lines[1:]]


def _check_texts(path: Path, column: str, texts: list[str]) -> None:
    for line, text in enumerate(texts, 2):
        if not (0 < len(text) <= MAX_TEXT and text.isprintable()):
            raise UserError(f"{path}, line {line}: {column} is {text[:20]!r}")


def _names(path: Path, files: list[str], folder: Path) -> list[str]:
    _check_texts(path, "file", files)
    lines: dict[str, int] = {}
    for line, file in enumerate(files, 2):
        if Path(file).is_absolute() or ".." in Path(file).parts or not Path(file).name:
            raise UserError(f"{path}, line {line}: file {file[:60]!r} leads out of {folder}")
        name = Path(file).with_suffix("").as_posix()
        if (before := lines.setdefault(name, line)) != line:
            raise UserError(f"{path}, line {line}: the clip {name[:60]!r} is that of line {before}")
    return list(lines)


def _training(path: Path, column: str, values: list[str]) -> list[int]:
    for line, value in enumerate(values, 2):
        if value.lower() not in TRAINS:
            raise UserError(
                f"{path}, line {line}: {column} is {value[:20]!r}, neither train nor test"
            )
    return [TRAINS[value.lower()] for value in values]


def _numbers(path: Path, column: str, values: list[str]) -> tuple[list[int], bool]:
    # The values as whole numbers from 1; whether they are words, numbered in alphabetical order.
    if all(_is_whole(value) and int(value) > 0 for value in values):
        return [int(value) for value in values], False
    _check_texts(path, column, values)
    number = {word: i for i, word in enumerate(sorted(set(values)), 1)}
    return [number[value] for value in values], True


def _in_order(labels: list[str]) -> type[int] | None:
    return int if all(map(_is_whole, labels)) else None


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
