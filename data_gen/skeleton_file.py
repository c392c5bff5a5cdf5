"""Raw NTU `.skeleton` files and their names.

A file: the number of frames; then for each frame the number of bodies; then for each body a line of
10 values, the number of joints (25), and a line of 12 values for each joint, which begin with x y z
in metres. Lines end in LF or CRLF.
"""

import os
import re
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data_gen.ntu import ACTION_NAMES, DATASETS

SUFFIX = ".skeleton"
JOINTS = 25
BODY_VALUES = 10
JOINT_VALUES = 12
MAX_SLOTS = 4  # bodies of a frame that are kept

# Beyond these a file is no clip, whatever it holds, and must not cost memory to find out.
MAX_FRAMES = 20_000  # eleven minutes at 30 frames a second
MAX_BYTES = 128 * 2**20
MAX_METRES = 1000.0

NAME = re.compile(r"S([0-9]{3})C([0-9]{3})P([0-9]{3})R([0-9]{3})A([0-9]{3})")


class SkeletonFileError(ValueError):
    """A malformed raw file; the text names the file, the line where there is one, and the fault."""


class SampleName(NamedTuple):
    """What the name of a clip says, e.g. S001C002P003R002A013; all fields are 1-based."""

    setup: int
    camera: int
    subject: int
    replication: int
    action: int


def parse_name(name: str) -> SampleName:
    """The fields of a clip's name, given without its suffix.

    Raises SkeletonFileError where it is no name of NTU RGB+D.
    """
    match = NAME.fullmatch(name)
    if not match:
        raise SkeletonFileError(f"{name}: not a name like S001C002P003R002A013")
    sample = SampleName(*map(int, match.groups()))
    last_setup = max(dataset.max_setup for dataset in DATASETS.values())
    if min(sample) < 1 or sample.setup > last_setup or sample.action > len(ACTION_NAMES):
        raise SkeletonFileError(
            f"{name}: not a clip of NTU RGB+D "
            f"(setups 1 to {last_setup}, actions 1 to {len(ACTION_NAMES)}, nothing is 0)"
        )
    return sample


def read_skeleton_file(path: str | Path) -> np.ndarray:
    """The bodies of a raw file, frame by frame.

    Returns (T, M, 25, 3) float64 in metres: T frames, of which body k stands in slot k; M is the
    greatest number of bodies in a frame, 4 at most (those beyond are skipped). Slots without a body
    are zero. Raises SkeletonFileError for everything else than a whole, plausible file.
    """
    name = Path(path).name
    try:
        status = os.stat(path)  # before opening: a pipe would wait for its writer
        if not stat.S_ISREG(status.st_mode):
            raise SkeletonFileError(f"{name}: not a regular file")
        if status.st_size > MAX_BYTES:
            size = f"{status.st_size / 2**20:,.0f} MB"
            raise SkeletonFileError(
                f"{name}, line 1: {size} of text, over the {MAX_BYTES // 2**20} of a clip"
            )
        with open(path, "rb") as file:
            return _Reader(name, file).clip()
    except OSError as error:
        raise SkeletonFileError(f"{name}: cannot be read: {error.strerror}") from None


class _Reader:
    """Walks through the lines of one file and knows where it is."""

    def __init__(self, name: str, lines: Iterator[bytes]):
        self.name = name
        self.lines = lines
        self.line = 0  # lines read so far, which is the number of the last one
        self.frame = "the number of frames"  # where it is, in words

    def fail(self, reason: str, line: int | None = None):
        raise SkeletonFileError(f"{self.name}, line {line or max(self.line, 1)}: {reason}")

    def clip(self) -> np.ndarray:
        """(T, M, 25, 3) float64, see read_skeleton_file."""
        frames = self.count("frames")
        if frames > MAX_FRAMES:
            self.fail(f"announces {frames} frames, over the {MAX_FRAMES} of a clip")
        tokens: list[bytes] = []  # x y z of 25 joints of each body kept
        where: list[tuple[int, int, int]] = []  # frame, slot and first line of each body kept
        for frame in range(frames):
            self.frame = f"frame {frame + 1} of {frames}"
            for slot in range(self.count("bodies")):
                xyz = self.body()
                if slot < MAX_SLOTS:
                    where.append((frame, slot, self.line - JOINTS + 1))
                    tokens += xyz
        for line in self.lines:
            self.line += 1
            if line.strip():
                self.fail(f"the file goes on after the {frames} frames that it announces")
        joints = self.numbers(tokens, where)
        at_frame, at_slot, _ = np.array(where, dtype=int).reshape(-1, 3).T
        bodies = np.zeros((frames, at_slot.max(initial=-1) + 1, JOINTS, 3))
        bodies[at_frame, at_slot] = joints
        return bodies

    def body(self) -> list[bytes]:
        """The 75 tokens x y z of one body."""
        header = self.next().split(None, BODY_VALUES)
        if len(header) != BODY_VALUES:
            self.fail(f"a body begins with {BODY_VALUES} values, here are {_many(header)}")
        joints = self.count("joints")
        if joints != JOINTS:
            self.fail(f"a body has {JOINTS} joints, here are {joints}")
        first = self.line + 1
        rows = [line.split(None, JOINT_VALUES) for line in islice(self.lines, JOINTS)]
        self.line += len(rows)
        tokens = []
        for number, row in enumerate(rows, first):
            if len(row) != JOINT_VALUES:
                self.fail(f"a joint has {JOINT_VALUES} values, here are {_many(row)}", number)
            tokens += row[:3]
        if len(rows) != JOINTS:
            self.fail(f"the file ends in {self.frame}")
        return tokens

    def next(self) -> bytes:
        line = next(self.lines, None)
        if line is None:
            self.fail(f"the file ends in {self.frame}" if self.line else "the file is empty")
        self.line += 1
        return line

    def count(self, what: str) -> int:
        text = self.next().strip()
        if not text.isdigit():  # of bytes: 0 to 9 only
            self.fail(f"{_quote(text)} is not a number of {what}")
        if len(text) > 12:
            self.fail(f"announces {_quote(text)} {what}")
        return int(text)

    def numbers(self, tokens: list[bytes], where: list[tuple[int, int, int]]) -> np.ndarray:
        """(bodies, 25, 3) float64 of all tokens."""
        try:
            if b"_" in b"".join(tokens):  # float() would take 1_000
                raise ValueError
            values = np.array(list(map(float, tokens)), dtype=float)
            if not (np.abs(values) <= MAX_METRES).all():
                raise ValueError
        except ValueError:
            for i, token in enumerate(tokens):
                if fault := _fault(token):
                    body, value = divmod(i, 3 * JOINTS)
                    self.fail(f"{_quote(token)} {fault}", where[body][2] + value // 3)
            raise
        return values.reshape(-1, JOINTS, 3)


def _fault(token: bytes) -> str | None:
    """What is wrong with a coordinate, None if nothing is."""
    try:
        value = float(token)
    except ValueError:
        return "is not a number"
    if b"_" in token:
        return "is not a number"
    if not abs(value) <= MAX_METRES:  # NaN included
        return f"is not a coordinate within {MAX_METRES:.0f} m"
    return None


def _many(values: list[bytes]) -> str:
    return f"{len(values)}" if len(values) <= JOINT_VALUES else "more"


def _quote(text: bytes) -> str:
    """Printable whatever it holds, and short."""
    return ascii(text[:20].decode("latin-1")) + ("..." if len(text) > 20 else "")
