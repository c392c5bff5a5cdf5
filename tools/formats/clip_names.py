"""The names of clips in files that have none, from a list of names and the order of the file.

CTR-GCN's and MAMP's arrays hold the clips of each half by subject, by camera or by setup, whichever
splits them, and of each value in the order of a list of names (skes_available_name.txt).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_gen.datasets.description import FIELDS, Description
from data_gen.datasets.missing import official_missing
from data_gen.readers.skeleton_file import SUFFIX, SampleName, SkeletonFileError, parse_name
from tools.cli import UserError
from tools.formats.array_files import require_file
from tools.formats.foreign_clips import Source


def read_names(path: Path) -> dict[str, SampleName]:
    """The names in a text file, one a line, and what they say.

    Raises UserError, one line, where a line is none of NTU RGB+D, or a name occurs twice.
    """
    require_file(path)
    names: dict[str, SampleName] = {}
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text file of names") from None
    for number, line in enumerate(lines, 1):
        name = line.strip().removesuffix(SUFFIX)
        try:
            fields = parse_name(name) if name else None
        except SkeletonFileError as error:
            raise UserError(f"{path}, line {number}: {error}") from None
        if name in names:
            raise UserError(f"{path}, line {number}: {name} occurs twice")
        if fields:
            names[name] = fields
    return names


def recover(path: Path, source: Source, description: Description, last_setup: int) -> list[str]:
    """The names of a source's clips, in its order, from a list that may name more clips.

    description: of the data set; last_setup: the last one of the data set. Names of clips that were
    left out are skipped: those that are officially missing, or those that the labels tell. Raises
    UserError, one line, where the names do not follow.
    """
    listed = {
        name: fields
        for name, fields in read_names(path).items()
        if fields.setup <= last_setup and fields.action <= description.num_classes
    }
    ((protocol, training),) = source.training.items()
    column = description.splits[protocol].column
    columns = {
        name: np.array([getattr(fields, name) for fields in listed.values()], np.int64)
        for name in FIELDS
    }
    train = description.train_mask(protocol, columns)
    order = np.argsort(columns[column], kind="stable")
    names, missing, found = list(listed), official_missing(), []
    for half, mask, rows in (("training", train, training), ("test", ~train, ~training)):
        candidates = [names[i] for i in order if mask[i]]
        labels = source.labels[rows].tolist()
        for some in (candidates, [name for name in candidates if name not in missing]):
            chosen = _embed([listed[name].action - 1 for name in some], labels)
            if chosen is not None:
                found += [some[i] for i in chosen]
                break
        else:
            fields = [listed[name] for name in candidates]
            raise UserError(_mismatch(path, f"{half} clips of {protocol}", fields, labels))
    return found


def _embed(listed: Sequence[int], labels: Sequence[int]) -> list[int] | None:
    """Which of the listed labels are the clips' labels, in order; None unless there is one way."""
    first = _leftmost(listed, labels)
    last = _leftmost(listed[::-1], labels[::-1])
    if first is None or last is None:
        return None
    return first if first == [len(listed) - 1 - i for i in reversed(last)] else None


def _leftmost(listed: Sequence[int], labels: Sequence[int]) -> list[int] | None:
    """Indices of the first listed labels that are the clips' labels in order; None without such."""
    found, i = [], 0
    for label in labels:
        while i < len(listed) and listed[i] != label:
            i += 1
        if i == len(listed):
            return None
        found.append(i)
        i += 1
    return found


def _mismatch(path: Path, what: str, listed: list[SampleName], labels: list[int]) -> str:
    count = f"{path}: {len(listed)} names for the {len(labels)} {what}"
    if _leftmost([fields.action - 1 for fields in listed], labels) is None:
        return f"{count}, whose labels are others; take the list that the file was made from"
    return (
        f"{count}, and the labels do not tell which clips were left out; take those names out of "
        "the list"
    )
