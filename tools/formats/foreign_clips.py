"""The clips of a file of other code, whatever its format: what an import reads."""

import argparse
import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data_gen.preparing.flags import whole_number
from feeder.datasets.ntu import DATASETS
from feeder.description import FIELDS, Description
from feeder.skeletons import DescriptionError
from feeder.store import Store
from tools.cli import UserError

LOOKED_AT = 200  # clips whose first frame is examined

# Protocol -> words for it in the names of files.
_WORDS = {
    "cross_subject": ("cs", "csub", "xsub", "subject"),
    "cross_view": ("cv", "cview", "xv", "xview", "view"),
    "cross_setup": ("cset", "csetup", "xset", "xsetup", "setup"),
}


class Clip(NamedTuple):
    """A row of samples.csv.

    fields: values of FIELDS.
    more: values of the description's further columns.
    """

    name: str
    fields: tuple[int, ...]
    more: tuple[int, ...]


class Own(NamedTuple):
    """What this code adds to files of other formats, so that a store can be restored exactly."""

    description: Description
    clips: list[Clip]


class Source(NamedTuple):
    """The N clips of a file or of a folder of files, in the order of the file.

    kind: what the file is, in words.
    labels: (N,) int64, classes from 0.
    read: number of a clip -> its joints (T, M, V, C) in metres; T is 0 where the clip shows nobody.
    names: N names, or None where the file has none.
    num_classes: classes of the data set; None where the file does not tell.
    training: {protocol: (N,) bool, which clips train}, as the file says.
    prepared: whether the coordinates have the method's normalization; else they are a camera's.
    own: what this code added to the file; None where other code wrote it.
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
    """The two texts that `read_own` reads: a store.json, and a table of the clips in some rows."""
    more = store.description.more_columns
    columns = [*(getattr(store, name) for name in FIELDS), *(store.more[name] for name in more)]
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["name", *FIELDS, *more])
    table.writerows([store.names[row], *(int(column[row]) for column in columns)] for row in rows)
    return store.description.to_json(), file.getvalue()


def read_own(store: str, samples: str, where: Path) -> Own:
    """Read the two texts of `own_texts`. Raises UserError where they are something else."""
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
    """The protocol of a file: its numbers of clips tell it, or else its name or its folder's name.

    counts: number of training and of test clips.

    An example is NTU60_CS.npz. Raises UserError where neither tells the protocol.
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
    """Raise UserError where the main body's spine lies along z in the first frames of the clips.

    path: the file, for the error.
    count: number of clips.
    read: as in `Source`.

    In a camera's coordinates the spine lies along y. The method turns a clip by the line of the
    shoulders only, so the spine stays along y. Other codes turn the spine onto z, and the angle is
    lost. At most LOOKED_AT clips are examined, spread over all clips.
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
    """A clip (T, M, V, C) without the zero frames that pad its end."""
    there = np.flatnonzero(joints.reshape(len(joints), -1).any(1))
    return joints[: there[-1] + 1 if len(there) else 0]
