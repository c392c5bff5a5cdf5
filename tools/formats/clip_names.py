"""Find the names of clips in files that hold no names, from a list of names.

The arrays of CTR-GCN and MAMP order the clips of each half by the subject, the camera or the setup,
whichever splits the halves, and then as a list of names does (skes_available_name.txt).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_gen.readers.raw_folders import official_missing
from data_gen.readers.skeleton_file import SUFFIX, SampleName, SkeletonFileError, parse_name
from feeder.description import FIELDS, Description
from tools.cli import UserError
from tools.formats.array_files import require_file
from tools.formats.foreign_clips import Source


def read_names(path: Path) -> dict[str, SampleName]:
    """Read a text file with one name a line; returns {name: its fields}.

    Raises UserError where a line is no name of NTU RGB+D, or where a name occurs twice.
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
    """Find the names of a source's clips, in the order of the source.

    path: a list of names, which may name more clips than the source has.
    source: the clips.
    description: of the data set.
    last_setup: the last setup of the data set.

    Names of clips that the file leaves out are skipped: clips that are officially missing, or that
    the labels show to be missing. Raises UserError where the list does not determine the names.
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
    """Indices at which the clips' labels stand in the listed labels, in order.

    None unless there is exactly one way.
    """
    first = _leftmost(listed, labels)
    last = _leftmost(listed[::-1], labels[::-1])
    if first is None or last is None:
        return None
    return first if first == [len(listed) - 1 - i for i in reversed(last)] else None


def _leftmost(listed: Sequence[int], labels: Sequence[int]) -> list[int] | None:
    """The first indices at which the clips' labels stand in the listed labels, in order.

    None without.
    """
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
        f"{count}, and the labels do not tell which clips were left out; remove their names from "
        "the list"
    )
