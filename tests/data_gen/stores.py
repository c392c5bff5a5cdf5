"""Folders of raw files for data_gen/ntu_gendata.py, and a reader of the stores that it writes."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np

from data_gen import ntu_gendata
from tests.data_gen.raw_files import GOLDEN

COMMAND = Path(ntu_gendata.__file__)
LONGEST = GOLDEN / "skeletons" / "S014C002P092R002A024.skeleton"  # 80 frames
OLD = ["S001C001P001R001A001", "S017C002P003R001A060"]


def read_store(folder: Path) -> dict[str, np.ndarray]:
    """{name: clip} of a store. Asserts that joints.npy and samples.csv fit together."""
    joints = np.load(folder / "joints.npy", allow_pickle=False)
    with open(folder / "samples.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == sorted(row["name"] for row in rows)
    clips, end = {}, 0
    for row in rows:
        assert int(row["start"]) == end
        end += int(row["frames"])
        clips[row["name"]] = joints[int(row["start"]) : end]
    assert len(joints) == end
    return clips


def linked_clips(folder: Path, number: int) -> Path:
    """A folder with the same recording of 80 frames under many names."""
    folder.mkdir()
    first = folder / "S001C001P001R001A001.skeleton"
    shutil.copy(LONGEST, first)
    for i in range(1, number):
        name = f"S001C{1 + i % 3:03}P{1 + i // 3 % 40:03}R003A{1 + i // 120:03}"
        os.link(first, folder / f"{name}.skeleton")
    return folder
