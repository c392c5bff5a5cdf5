"""Read raw `.skeleton` files of NTU RGB+D, and their names.

A file begins with the number of frames. Each frame begins with the number of bodies. Each body is a
line of 10 values, of which the first is its tracking number, a line with the number of joints (25),
and a line of 12 values for each joint. The first three of the 12 values are x y z in metres. Lines
end in LF or CRLF.
"""

import contextlib
import re
from collections.abc import Iterator
from itertools import islice
from operator import methodcaller
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from common import UserError
from data_gen.clip import require_metres
from feeder.datasets.ntu import ACTION_NAMES, LAST_SETUP
from feeder.skeletons import NTU

SUFFIX = ".skeleton"
JOINTS = NTU.skeleton.num_joints
BODY_VALUES, JOINT_VALUES = 10, 12  # values in a line
BLOCK_ROWS = 500  # lines of joints that are kept as text at once
COUNT_SPACES = methodcaller("count", b" ")
MAX_SLOTS = 4  # bodies of a frame that are kept

NAME = re.compile(r"S([0-9]{3})C([0-9]{3})P([0-9]{3})R([0-9]{3})A([0-9]{3})")
SkeletonFileError = UserError  # the former name


class SampleName(NamedTuple):
    """The fields of a clip's name, such as S001C002P003R002A013; all fields count from 1."""

    setup: int
    camera: int
    subject: int
    replication: int
    action: int


def parse_name(name: str) -> SampleName:
    """The fields of a clip's name, without suffix. Raises UserError if NTU RGB+D has no such."""
    match = NAME.fullmatch(name)
    sample = SampleName(*map(int, match.groups())) if match else SampleName(0, 0, 0, 0, 0)
    setups, actions = max(LAST_SETUP.values()), len(ACTION_NAMES)
    if min(sample) < 1 or sample.setup > setups or sample.action > actions:
        raise UserError(
            f"{name}: not a name of NTU RGB+D like S001C002P003R002A013, with setups 1 to {setups} "
            f"and actions 1 to {actions}"
        )
    return sample


def read_skeleton_file(path: str | Path) -> np.ndarray:
    """Read the bodies of a raw file: (T, M, 25, 3) float64, metres.

    Body k of a frame is in slot k along M, as published. M is the greatest number of bodies in a
    frame, but at most 4; further bodies are skipped. A slot without a body is zero.
    Raises UserError with the line or frame if the file is not whole, or a number is no coordinate.
    """
    frames, at, _, joints = read_raw_bodies(path)
    kept = at[1] < MAX_SLOTS
    frame, slot = at[:, kept]
    bodies = np.zeros((frames, slot.max(initial=-1) + 1, JOINTS, 3))
    bodies[frame, slot] = joints[kept]
    require_metres(Path(path).name, bodies)
    return bodies


def read_raw_bodies(path: str | Path) -> tuple[int, np.ndarray, list[bytes], np.ndarray]:
    """Read a raw file as a list of n bodies.

    Returns the number of frames; (2, n) the frame of each body and its position in the frame; the
    n tracking numbers; (n, 25, 3) float64 the joints in metres, which may be NaN.
    Raises UserError with the line if the file is not whole.
    """
    with open(path, "rb") as file:
        return _Reader(Path(path).name, file).bodies()


class _Reader:
    """Reads the lines of a file and counts them for messages."""

    def __init__(self, name: str, lines: Iterator[bytes]):
        self.name, self.lines = name, lines
        self.line = 0  # the number of the last line that was read

    def fail(self, reason: str, line: int | None = None) -> NoReturn:
        """Raise UserError with a line, by default the last that was read."""
        raise UserError(f"{self.name}, line {line or max(self.line, 1)}: {reason}") from None

    def next(self) -> bytes:
        """Read one line."""
        line = next(self.lines, None)
        if line is None:
            self.fail("the file ends too early" if self.line else "the file is empty")
        self.line += 1
        return line

    def count(self, what: str) -> int:
        """Read a line that holds a number of frames, bodies or joints."""
        text = self.next().strip()
        if not (text.isdigit() and len(text) < 10):  # for bytes this means the digits 0 to 9 only
            self.fail(f"{text[:20].decode('latin-1')!a} is not a number of {what}")
        return int(text)

    def bodies(self) -> tuple[int, np.ndarray, list[bytes], np.ndarray]:
        """The whole file as `read_raw_bodies` returns it."""
        at, numbers, rows, blocks = [], [], [], []
        frames = self.count("frames")
        for frame in range(frames):
            for slot in range(self.count("bodies")):
                header = self.next().split()
                if len(header) != BODY_VALUES:
                    self.fail(f"{len(header)} values where a body begins with {BODY_VALUES}")
                if (joints := self.count("joints")) != JOINTS:
                    self.fail(f"{joints} joints where a body has {JOINTS}")
                at.append((frame, slot, self.line + 1))
                numbers.append(header[0])
                rows += islice(self.lines, JOINTS)
                self.line += JOINTS
                if lacking := -len(rows) % JOINTS:
                    self.line -= lacking
                    self.fail("the file ends too early")
                if len(rows) >= BLOCK_ROWS:
                    blocks.append(self.coordinates(rows, at))
                    rows.clear()
        for line in self.lines:
            self.line += 1
            if line.strip():
                self.fail(f"the file goes on after the {frames} frames that it announces")
        blocks.append(self.coordinates(rows, at))
        joints = np.concatenate(blocks).reshape(-1, JOINTS, 3)
        return frames, np.array(at, int).reshape(-1, 3).T[:2], numbers, joints

    def coordinates(self, rows: list[bytes], at: list[tuple[int, int, int]]) -> np.ndarray:
        """x y z of each joint, one after another.

        rows: the lines of the joints of the last bodies
        at: for each body of the file so far its frame, its position and the line of its joints
        """
        tokens: list[bytes] = []
        for row in rows:
            tokens += row.split(b" ", 3)
        del tokens[3::4]  # the rest of each line
        if set(map(COUNT_SPACES, rows)) <= {JOINT_VALUES - 1}:
            with contextlib.suppress(ValueError):
                values = np.fromiter(map(float, tokens), float, len(tokens))
                if len(values) == 3 * len(rows):
                    return values
        values = []  # other spacing, or a fault
        for i, row in enumerate(rows):
            body, joint = divmod(i, JOINTS)
            line = at[body - len(rows) // JOINTS][2] + joint
            tokens = row.split()
            if len(tokens) != JOINT_VALUES:
                self.fail(f"{len(tokens)} values where a joint has {JOINT_VALUES}", line)
            try:
                values += map(float, tokens[:3])
            except ValueError:
                self.fail(f"{row[:40].decode('latin-1')!a} does not begin with x y z", line)
        return np.array(values)
