"""Find and read raw `.skeleton` files of NTU RGB+D, their names, and the lists of missing ones.

A file begins with the number of frames, a frame with the number of bodies. A body is a line of 10
values, the first of which is its tracking number, a line with the number of joints (25), and a line
of 12 values for each joint, of which the first three are x y z in metres.
"""

import os
import re
import sys
from collections.abc import Iterable
from operator import methodcaller
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from common import UserError
from feeder.datasets import LAST_SETUP, NTU_ACTIONS
from feeder.skeletons import NTU, require_metres

SUFFIX = ".skeleton"
JOINTS = NTU.skeleton.num_joints
BODY_VALUES, JOINT_VALUES = 10, 12  # values in a line

COUNT_SPACES = methodcaller("count", b" ")
MAX_SLOTS = 4  # bodies of a frame that are kept

NAME = re.compile(r"S([0-9]{3})C([0-9]{3})P([0-9]{3})R([0-9]{3})A([0-9]{3})")
MISSING_LIST = "samples_with_missing_skeletons.txt"
SYNTHETIC_MARK = "SYNTHETIC.txt"  # a file that data_gen/synthetic.py puts into its folders


class SampleName(NamedTuple):
    """The fields of a clip's name, such as S001C002P003R002A013; all count from 1."""

    setup: int
    camera: int
    subject: int
    replication: int
    action: int


def parse_name(name: str) -> SampleName:
    """The fields of a clip's name, without suffix. Raises UserError if NTU RGB+D has no such."""
    match = NAME.fullmatch(name)
    sample = SampleName(*map(int, match.groups() if match else "00000"))
    if min(sample) < 1 or sample.setup > LAST_SETUP["ntu120"] or sample.action > len(NTU_ACTIONS):
        raise UserError(f"{name}: not a name of NTU RGB+D like S001C002P003R002A013")
    return sample


def find_skeleton_files(folders: Iterable[Path]) -> dict[str, Path]:
    """{name of a clip: its file} at any depth below the folders, sorted; of two the first.

    Hidden files and folders are not data: macOS writes `._NAME.skeleton` beside a file.
    """
    files: dict[str, Path] = {}
    for folder in folders:
        for place, inside, names in os.walk(folder, followlinks=True):
            inside[:] = sorted(name for name in inside if not name.startswith("."))
            for name in names:
                if name.endswith(SUFFIX) and not name.startswith("."):
                    files.setdefault(name.removesuffix(SUFFIX), Path(place, name))
    return dict(sorted(files.items()))


def missing_samples(path: Path | None, files: Iterable[Path], is_ntu120: bool) -> set[str]:
    """The names in the user's list; else in those by the raw files or above; else the official."""
    if path:
        return read_missing_list(path)
    folders = {file.parent for file in files}
    folders |= {folder.parent for folder in folders}
    lists = [path for place in folders for path in place.glob("[!.]*with_missing_skeletons.txt")]
    if not lists:
        return official_missing()
    missing = set().union(*map(read_missing_list, lists))
    if is_ntu120 and max(missing, default="") < "S018":
        names = " and ".join(map(str, sorted(lists)))
        print(f"warning: {names}: no name of S018 to S032, as in NTU-120's list", file=sys.stderr)
    return missing


def official_missing() -> set[str]:
    """The names of the missing samples: 302 in setups 1 to 17, 535 in setups 1 to 32.

    Source: https://github.com/shahroudy/NTURGB-D, NTU_RGBD120_samples_with_missing_skeletons.txt.
    In our file, "S001C002 P005R002A008 P006R001A008" stands for two names.
    """
    lines = Path(__file__).with_name("missing_samples.txt").read_text(encoding="ascii").splitlines()
    return {begin + rest for begin, *rests in map(str.split, lines) for rest in rests}


def read_missing_list(path: Path) -> set[str]:
    """The names of clips in a list, which may begin with prose. Raises UserError without a name."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    names = {match[0] for match in NAME.finditer(text)}
    if text.strip() and not names:
        raise UserError(f"{path} holds no name of a clip, so it is no list of missing samples")
    return names


def read_skeleton_file(path: str | Path) -> np.ndarray:
    """Read the bodies of a raw file: (T, M, 25, 3) float64, metres.

    Body k of a frame is in slot k along M, as published; further bodies than 4 are skipped. A slot
    without a body is zero. Raises UserError with the line or frame.
    """
    bodies = read_bodies(path, absent=0.0)[0][:, :MAX_SLOTS]
    require_metres(Path(path).name, bodies)
    return bodies


def read_bodies(path: str | Path, absent: float) -> tuple[np.ndarray, np.ndarray]:
    """Read a raw file. Raises UserError with the line if it is not whole.

    Returns the joints (T, M, 25, 3) float64 in metres, which may be NaN, with `absent` where a slot
    has no body; and people (T, M) by their tracking number, counted from 0, -1 for nobody.
    """
    name, lines = Path(path).name, Path(path).read_bytes().rstrip().split(b"\n")

    def fail(line: int, reason: str) -> NoReturn:
        raise UserError(f"{name}, line {line + 1}: {reason}") from None

    def count(line: int, what: str) -> int:
        if line >= len(lines):
            fail(len(lines) - 1, "the file ends too early")
        text = lines[line].strip()
        if not (text.isdigit() and len(text) < 10):  # for bytes this means the digits 0 to 9 only
            fail(line, f"{text[:20].decode('latin-1')!a} is not a number of {what}")
        return int(text)

    at, names, begins, rows = [], [], [], []
    frames, line = count(0, "frames"), 1
    for frame in range(frames):
        bodies, line = count(line, "bodies"), line + 1
        for slot in range(bodies):
            begin = line + 2
            joints, line = count(line + 1, "joints"), begin + JOINTS
            header = lines[begin - 2].split()
            if len(header) != BODY_VALUES or joints != JOINTS:
                fail(begin - 2, f"not {BODY_VALUES} values and {JOINTS} joints, as a body has")
            at.append((frame, slot))
            names.append(header[0])
            begins.append(begin)
            rows += lines[begin:line]
    if line != len(lines):
        late = line < len(lines)
        fail(line if late else len(lines) - 1, f"the file ends too {'late' if late else 'early'}")
    values = _coordinates(rows)
    if values is None:
        wrong = next(i for i, row in enumerate(rows) if _coordinates([row]) is None)
        body, joint = divmod(wrong, JOINTS)
        fail(begins[body] + joint, f"not {JOINT_VALUES} values from x y z on")
    frame, slot = np.array(at, int).reshape(-1, 2).T
    shape = frames, slot.max(initial=-1) + 1
    bodies, people = np.full((*shape, JOINTS, 3), absent), np.full(shape, -1)
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    bodies[frame, slot] = values.reshape(-1, JOINTS, 3)
    people[frame, slot] = [number[name] for name in names]
    return bodies, people


def _coordinates(rows: list[bytes]) -> np.ndarray | None:
    # x y z of each joint, one after another; None for a fault in the lines of the joints.
    if set(map(COUNT_SPACES, rows)) - {JOINT_VALUES - 1}:  # other spacing, or a fault
        rows = [b" ".join(row.split()) for row in rows]
        if set(map(COUNT_SPACES, rows)) - {JOINT_VALUES - 1}:
            return None
    tokens: list[bytes] = []
    for row in rows:
        tokens += row.split(b" ", 3)
    del tokens[3::4]  # the rest of each line
    try:
        return np.fromiter(map(float, tokens), float, len(tokens))
    except ValueError:
        return None
