"""What an import takes: the clips of a file of other code, whatever its format."""

import argparse
import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data_gen.datasets.description import FIELDS, Description
from data_gen.datasets.ntu import DATASETS
from data_gen.datasets.skeletons import DescriptionError
from data_gen.preparing.flags import whole_number
from feeder.store import Store
from tools.cli import UserError

LOOKED_AT = 200  # clips whose first frame tells how they are turned

# What the names of files call the protocols.
_WORDS = {
    "cross_subject": ("cs", "csub", "xsub", "subject"),
    "cross_view": ("cv", "cview", "xv", "xview", "view"),
    "cross_setup": ("cset", "csetup", "xset", "xsetup", "setup"),
}


class Clip(NamedTuple):
    """A row of samples.csv: the values of FIELDS, and of the description's further columns."""

    name: str
    fields: tuple[int, ...]
    more: tuple[int, ...]


class Own(NamedTuple):
    """What this code writes into files of other formats, so that a store comes back as it was."""

    description: Description
    clips: list[Clip]


class Source(NamedTuple):
    """The clips of a file, or of a folder of files: N of them, in the order of the file.

    kind: what it is, in words. labels: (N,) int64, classes from 0. read: row -> joints (T, M, V, C)
    of a clip, in metres, T 0 where there is nobody. names: N names, or None where the file has
    none. num_classes: of the data set, None where the file does not tell. training: {protocol:
    which clips train, (N,) bool}, as the file says. prepared: whether the coordinates are
    normalized as the method has them, instead of a camera's. own: None where the file is of other
    code.
    """

    path: Path
    kind: str
    labels: np.ndarray
    read: Callable[[int], np.ndarray]
    names: list[str] | None
    num_classes: int | None
    training: dict[str, np.ndarray]
    prepared: bool
    own: Own | None = None


def own_texts(store: Store, rows: Sequence[int]) -> tuple[str, str]:
    """What `read_own` reads: the texts of a store.json, and of a table of clips in some order."""
    more = store.description.more_columns
    columns = [*(getattr(store, name) for name in FIELDS), *(store.more[name] for name in more)]
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["name", *FIELDS, *more])
    table.writerows([store.names[row], *(int(column[row]) for column in columns)] for row in rows)
    return store.description.to_json(), file.getvalue()


def read_own(store: str, samples: str, where: Path) -> Own:
    """What `own_texts` gave. Raises UserError, one line, where the texts are something else."""
    try:
        description = Description.from_json(store)
        header, *rows = csv.reader(samples.splitlines(), strict=True)
        columns = ["name", *FIELDS, *description.more_columns]
        if header != columns or not all(len(row) == len(columns) for row in rows):
            raise ValueError(f"its columns are not {','.join(columns)}")
        values = [[whole_number(0, 10**9)(text) for text in row[1:]] for row in rows]
    except (DescriptionError, ValueError, csv.Error, argparse.ArgumentTypeError) as error:
        raise UserError(f"{where}: the store that it was made from is damaged: {error}") from None
    cut = len(FIELDS)
    clips = [
        Clip(row[0], tuple(numbers[:cut]), tuple(numbers[cut:]))
        for row, numbers in zip(rows, values, strict=True)
    ]
    return Own(description, clips)


def protocol_of(path: Path, counts: tuple[int, int]) -> str:
    """The protocol that numbers of training and test clips tell, or else the name of a file does.

    As NTU60_CS.npz, or its folder's. Raises UserError where neither tells.
    """
    for description in DATASETS.values():
        for protocol, official in description.official.items():
            if counts == official:
                return protocol
    words = re.split(r"[^a-z]+", f"{path.absolute().parent.name} {path.stem}".lower())
    told = [p for word in words for p, names in _WORDS.items() if word in names]
    if not told:
        raise UserError(f"{path}: its name does not tell its split; name it with --protocol")
    return told[-1]


def refuse_turned(path: Path, count: int, read: Callable[[int], np.ndarray]) -> None:
    """Raise UserError where the spine of the main body lies along z in the first frames of clips.

    In a camera's coordinates, and so in the method's, where a clip is turned about by the line of
    its shoulders alone, it lies along y. Other codes turn it onto z, and by how much is lost.
    count: clips; read: as Source.read. Some clips are looked at, spread over all of them.
    """
    rows = np.unique(np.linspace(0, count - 1, min(count, LOOKED_AT)).astype(int)) if count else []
    clips = [clip for clip in map(read, rows) if len(clip)]
    spines = [clip[0, 0, 0].astype(float) - clip[0, 0, 1] for clip in clips]  # base from middle
    along_z = [spine[2] < -0.7 * np.linalg.norm(spine) for spine in spines]
    if spines and np.mean(along_z) > 0.75:
        raise UserError(
            f"{path}: the spine lies along z in {sum(along_z)} of {len(spines)} clips, so other "
            "code (as AGCN, skeleton-contrast, CMD, HiCo) has turned them, which cannot be undone; "
            "take UmURL's or USDRL's arrays, CTR-GCN's, pyskl's, or raw files"
        )


def own_frames(joints: np.ndarray) -> np.ndarray:
    """A clip (T, M, V, C) without the zero frames that pad it at its end."""
    there = np.flatnonzero(joints.reshape(len(joints), -1).any(1))
    return joints[: there[-1] + 1 if len(there) else 0]
