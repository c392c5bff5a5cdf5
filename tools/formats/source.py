"""The clips of other codes' files, whatever their format."""

import contextlib
import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common import UserError
from feeder.description import FIELDS, Description

# What `tools.convert` adds to the files that it exports, and the names of files in a folder.
OWN = {"store": "store.json", "samples": "samples.csv"}
LOOKED_AT = 200  # clips whose first frame is examined
Row = tuple[str, tuple[int, ...], tuple[int, ...]]  # of samples.csv: name, FIELDS, more columns


@dataclass(frozen=True)
class Source:
    """The N clips of a file or of a folder of files, in the order of the file.

    kind: what the file is, in words.
    labels: (N,) int64, classes from 0; -1 for a clip without a label.
    read: number of a clip -> its joints (T, M, V, C); T is 0 where the clip shows nobody.
    shape: (M, V), bodies and joints.
    halves: {protocol: (N,) int64, 1 for a training clip, 0 for a test clip, -1 for neither}.
    names: N names, or None where the file has none.
    channels: xyz in metres; xy or xyc, with a confidence, in pixels.
    num_classes: classes of the data set; None where the file does not tell.
    prepared: whether the coordinates have the method's normalization; else they are a camera's.
    own: what `tools.convert` added to the file; None where other code wrote it.
    """

    path: Path
    kind: str
    labels: np.ndarray
    read: Callable[[int], np.ndarray]
    shape: tuple[int, int]
    halves: dict[str, np.ndarray]
    names: list[str] | None = None
    channels: str = "xyz"
    num_classes: int | None = None
    prepared: bool = False
    own: tuple[Description, list[Row]] | None = None


def read_own(store: str, samples: str) -> tuple[Description, list[Row]]:
    """Read the texts of the files OWN, with the clips in the order of the exported file."""
    _, *lines = csv.reader(samples.splitlines())
    rows = [(name, tuple(map(int, values))) for name, *values in lines]
    cut = len(FIELDS)
    return Description.from_json(store), [(name, v[:cut], v[cut:]) for name, v in rows]


def refuse_turned(path: Path, count: int, read: Callable[[int], np.ndarray]) -> None:
    """Raise UserError where the main body's spine lies along z in the clips' first frames.

    count, read: the number of clips of NTU's skeleton, and as in `Source`.

    In a camera's coordinates the spine lies along y. The method turns a clip by the line of the
    shoulders only, so the spine stays along y. Other codes turn the spine onto z; the angle is
    lost.
    """
    clips = []
    for row in np.unique(np.linspace(0, count - 1, min(count, LOOKED_AT)).astype(int)):
        with contextlib.suppress(Exception):  # a damaged clip, which the import names
            clips += [clip for clip in [read(row)] if len(clip)]
    spines = [clip[0, 0, 0].astype(float) - clip[0, 0, 1] for clip in clips]  # base from middle
    along_z = [spine[2] < -0.7 * np.linalg.norm(spine) for spine in spines]
    if spines and np.mean(along_z) > 0.75:
        raise UserError(
            f"{path}: the spine lies along z in {sum(along_z)} of {len(spines)} clips, so other "
            "code (as AGCN, skeleton-contrast, CMD, HiCo) has turned them, which cannot be undone; "
            "take UmURL's or USDRL's arrays, CTR-GCN's, pyskl's, or raw files"
        )
