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
from feeder.datasets.ntu import ACTION_NAMES, LAST_SETUP
from feeder.skeletons import MAX_METRES, NTU

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
    """The fields of a clip's name, which is given without suffix.

    Raises UserError if the name is not that of a clip of NTU RGB+D.
    """
    match = NAME.fullmatch(name)
    if not match:
        raise UserError(f"{name}: not a name like S001C002P003R002A013")
    sample = SampleName(*map(int, match.groups()))
    last_setup = max(LAST_SETUP.values())
    if min(sample) < 1 or sample.setup > last_setup or sample.action > len(ACTION_NAMES):
        raise UserError(
            f"{name}: not a clip of NTU RGB+D "
            f"(setups 1 to {last_setup}, actions 1 to {len(ACTION_NAMES)}, nothing is 0)"
        )
    return sample


def read_skeleton_file(path: str | Path) -> np.ndarray:
    """Read the bodies of a raw file: (T, M, 25, 3) float64, metres.

    Body k of a frame is in slot k along M, as published. M is the greatest number of bodies in a
    frame, but at most 4; further bodies are skipped. A slot without a body is zero.
    Raises UserError with the line if the file is not whole, or holds values that no recording has.
    """
    frames, at, _, joints = read_raw_bodies(path)
    frame, slot = at[:, at[1] < MAX_SLOTS]
    bodies = np.zeros((frames, slot.max(initial=-1) + 1, JOINTS, 3))
    bodies[frame, slot] = joints[at[1] < MAX_SLOTS]
    return bodies


def read_raw_bodies(
    path: str | Path, limit: float | None = MAX_METRES
) -> tuple[int, np.ndarray, list[bytes], np.ndarray]:
    """Read a raw file as a list of n bodies.

    limit: the greatest coordinate; None to take all numbers, and NaN
    Returns the number of frames; (2, n) the frame of each body and its position in the frame; the
    n tracking numbers; (n, 25, 3) float64 the joints in metres. Raises as `read_skeleton_file`.
    """
    with open(path, "rb") as file:
        return _Lines(Path(path).name, file, limit).bodies()


class _Lines:
    """Reads the lines of a file and counts them for messages."""

    def __init__(self, name: str, lines: Iterator[bytes], limit: float | None):
        self.name = name
        self.limit = limit
        self.lines = lines
        self.line = 0  # the number of the last line that was read

    def fail(self, reason: str, line: int | None = None) -> NoReturn:
        """Raise UserError with a line, by default the last that was read."""
        raise UserError(f"{self.name}, line {line or max(self.line, 1)}: {reason}") from None

    def bodies(self) -> tuple[int, np.ndarray, list[bytes], np.ndarray]:
        """The whole file as `read_raw_bodies` returns it."""
        at, numbers, first_lines, rows = [], [], [], []
        blocks = [np.empty(0)]
        frames = self.count("frames")
        for frame in range(frames):
            for slot in range(self.count("bodies")):
                header = self.next().split()
                if len(header) != BODY_VALUES:
                    self.fail(f"{len(header)} values where a body begins with {BODY_VALUES}")
                if (joints := self.count("joints")) != JOINTS:
                    self.fail(f"{joints} joints where a body has {JOINTS}")
                at.append((frame, slot))
                numbers.append(header[0])
                first_lines.append(self.line + 1)
                rows += islice(self.lines, JOINTS)
                self.line += JOINTS
                if lacking := -len(rows) % JOINTS:
                    self.line -= lacking
                    self.fail("the file ends too early")
                if len(rows) >= BLOCK_ROWS:
                    blocks.append(self.coordinates(rows, first_lines))
                    rows.clear()
        for line in self.lines:
            self.line += 1
            if line.strip():
                self.fail(f"the file goes on after the {frames} frames that it announces")
        blocks.append(self.coordinates(rows, first_lines))
        joints = np.concatenate(blocks).reshape(-1, JOINTS, 3)
        return frames, np.array(at, int).reshape(-1, 2).T, numbers, joints

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
            self.fail(f"{_quote(text)} is not a number of {what}")
        return int(text)

    def coordinates(self, rows: list[bytes], first_lines: list[int]) -> np.ndarray:
        """x y z of each joint, all in one row.

        rows: the lines of the joints of the last bodies
        first_lines: for each body of the file the number of its first line
        """
        tokens: list[bytes] = []
        for row in rows:
            tokens += row.split(b" ", 3)
        del tokens[3::4]  # the rest of each line
        if set(map(COUNT_SPACES, rows)) <= {JOINT_VALUES - 1}:
            with contextlib.suppress(ValueError):
                values = np.fromiter(map(float, tokens), float, len(tokens))
                if len(values) == 3 * len(rows) and self.is_within(values):
                    return values
        values = []  # other spacing, or a fault
        first = len(first_lines) - len(rows) // JOINTS
        for i, row in enumerate(rows):
            line = first_lines[first + i // JOINTS] + i % JOINTS
            tokens = row.split()
            if len(tokens) != JOINT_VALUES:
                self.fail(f"{len(tokens)} values where a joint has {JOINT_VALUES}", line)
            try:
                values += map(float, tokens[:3])
            except ValueError:
                self.fail(f"{_quote(b' '.join(tokens[:3]))} is not x y z", line)
            if not self.is_within(values[-3:]):
                self.fail(f"{values[-3:]} is not within {self.limit:.0f} m", line)
        return np.array(values)

    def is_within(self, values: np.ndarray | list[float]) -> bool:
        """Whether all coordinates are within the limit; NaN is not."""
        return self.limit is None or bool((np.abs(values) <= self.limit).all())


def _quote(text: bytes) -> str:
    # A text that can be printed, whatever the file holds.
    return ascii(text[:20].decode("latin-1")) + ("..." if len(text) > 20 else "")
