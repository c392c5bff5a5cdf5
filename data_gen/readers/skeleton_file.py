"""Read raw `.skeleton` files of NTU RGB+D, and their names.

A file begins with the number of frames. Each frame begins with the number of bodies. Each body is a
line of 10 values, a line with the number of joints (25), and a line of 12 values for each joint.
The first three of the 12 values are x y z in metres. Lines end in LF or CRLF.
"""

import os
import re
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from feeder.datasets.ntu import ACTION_NAMES, LAST_SETUP
from feeder.skeletons import MAX_METRES, NTU

SUFFIX = ".skeleton"
JOINTS = NTU.skeleton.num_joints
BODY_VALUES = 10
JOINT_VALUES = 12
MAX_SLOTS = 4  # bodies of a frame that are kept

# A file beyond these limits is no clip; it is refused before it is read into memory.
MAX_FRAMES = 20_000  # eleven minutes at 30 frames a second
MAX_BYTES = 128 * 2**20
BLOCK_ROWS = 500  # lines of joints that are kept as text at once; they fit the processor's cache

NAME = re.compile(r"S([0-9]{3})C([0-9]{3})P([0-9]{3})R([0-9]{3})A([0-9]{3})")


class SkeletonFileError(ValueError):
    """A raw file is malformed; the message names the file, the line if there is one, the fault."""


class SampleName(NamedTuple):
    """The fields of a clip's name, such as S001C002P003R002A013; all fields count from 1."""

    setup: int
    camera: int
    subject: int
    replication: int
    action: int


def parse_name(name: str) -> SampleName:
    """The fields of a clip's name, which is given without suffix.

    Raises SkeletonFileError if the name is not that of a clip of NTU RGB+D.
    """
    match = NAME.fullmatch(name)
    if not match:
        raise SkeletonFileError(f"{name}: not a name like S001C002P003R002A013")
    sample = SampleName(*map(int, match.groups()))
    last_setup = max(LAST_SETUP.values())
    if min(sample) < 1 or sample.setup > last_setup or sample.action > len(ACTION_NAMES):
        raise SkeletonFileError(
            f"{name}: not a clip of NTU RGB+D "
            f"(setups 1 to {last_setup}, actions 1 to {len(ACTION_NAMES)}, nothing is 0)"
        )
    return sample


def read_skeleton_file(path: str | Path) -> np.ndarray:
    """Read the bodies of a raw file: (T, M, 25, 3) float64, metres.

    Body k of a frame is in slot k along M. M is the greatest number of bodies in a frame, but at
    most 4; further bodies are skipped. A slot without a body is zero.
    Raises SkeletonFileError if the file is not whole, or holds values that no recording has.
    """
    name = Path(path).name
    try:
        status = os.stat(path)  # before opening, since to open a pipe waits for its writer
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
    """Reads the lines of one file and counts them for messages."""

    def __init__(self, name: str, lines: Iterator[bytes]):
        self.name = name
        self.lines = lines
        self.line = 0  # the number of the last line that was read
        self.place = ""  # the frame, in words
        self.rows: list[bytes] = []  # lines of joints that are still text, 25 for each body
        self.bodies: list[tuple[int, int, int]] = []  # frame, slot and first line of these bodies
        # Bodies that were converted: (2, n) frames and slots, (n, 25, 3) coordinates.
        self.done: list[tuple[np.ndarray, np.ndarray]] = []

    def fail(self, reason: str, line: int | None = None) -> NoReturn:
        """Raise SkeletonFileError with a line, by default the last that was read."""
        raise SkeletonFileError(
            f"{self.name}, line {line or max(self.line, 1)}: {reason}"
        ) from None

    def clip(self) -> np.ndarray:
        """The whole file as `read_skeleton_file` returns it."""
        try:
            frames = self.walk()
        except SkeletonFileError:
            self.check_rows()  # the message shall name the first fault in the file
            raise
        self.convert()
        slots = max((at[1].max(initial=-1) for at, _ in self.done), default=-1) + 1
        clip = np.zeros((frames, slots, JOINTS, 3))
        for at, joints in self.done:
            clip[tuple(at)] = joints
        return clip

    def walk(self) -> int:
        """Read all lines and collect the bodies. Returns the number of frames."""
        frames = self.count("frames")
        if frames > MAX_FRAMES:
            self.fail(f"announces {frames} frames, over the {MAX_FRAMES} of a clip")
        for frame in range(frames):
            self.place = f"frame {frame + 1} of {frames}"
            for slot in range(self.count("bodies")):
                self.body(frame, slot)
        for line in self.lines:
            self.line += 1
            if line.strip():
                self.fail(f"the file goes on after the {frames} frames that it announces")
        return frames

    def body(self, frame: int, slot: int) -> None:
        """Read the lines of one body."""
        values = len(self.next().split(None, BODY_VALUES))
        if values != BODY_VALUES:
            self.fail(f"{_number(values, BODY_VALUES)} where a body begins with {BODY_VALUES}")
        joints = self.count("joints")
        if joints != JOINTS:
            self.fail(f"{joints} joints where a body has {JOINTS}")
        if len(self.rows) >= BLOCK_ROWS:
            self.convert()
        self.bodies.append((frame, slot, self.line + 1))
        rows = list(islice(self.lines, JOINTS))
        self.line += len(rows)
        self.rows += rows
        if len(rows) != JOINTS:
            self.fail(f"the file ends in {self.place}")

    def next(self) -> bytes:
        """Read one line."""
        line = next(self.lines, None)
        if line is None:
            self.fail(f"the file ends in {self.place}" if self.line else "the file is empty")
        self.line += 1
        return line

    def count(self, what: str) -> int:
        """Read a line that holds a number of frames, bodies or joints."""
        text = self.next().strip()
        if not text.isdigit():  # for bytes this means the digits 0 to 9 only
            self.fail(f"{_quote(text)} is not a number of {what}")
        if len(text) > 12:  # int() refuses very long texts
            self.fail(f"announces {_quote(text)} {what}")
        return int(text)

    def convert(self) -> None:
        """Convert the collected lines of joints from text to numbers."""
        if not self.rows:
            return
        text = b"".join([b"\n", *self.rows])
        if not _all_lines_have(JOINT_VALUES, text):
            self.check_rows()
        tokens: list[bytes] = []
        for row in self.rows:
            tokens += row.split(None, 3)
        del tokens[3::4]  # the rest of each line
        try:
            values = np.fromiter(map(float, tokens), float, len(tokens))
        except ValueError:
            self.check_rows()
        if not (np.abs(values) <= MAX_METRES).all() or b"_" in text:
            self.check_rows()
        joints = values.reshape(-1, JOINTS, 3)
        at = np.array(self.bodies).T[:2]
        kept = at[1] < MAX_SLOTS
        self.done.append((at[:, kept], joints[kept]))
        self.rows, self.bodies = [], []

    def check_rows(self) -> None:
        """Raise SkeletonFileError for the first fault in the collected lines of joints."""
        for number, row in enumerate(self.rows):
            if fault := _row_fault(row):
                body, joint = divmod(number, JOINTS)
                self.fail(fault, self.bodies[body][2] + joint)


def _all_lines_have(values: int, text: bytes) -> bool:
    # Whether each line has so many values. The text has a newline before each line.
    characters = np.frombuffer(text, np.uint8)
    blank = (characters == 32) | (characters - np.uint8(9) < 5)  # where bytes.split() splits
    begins = (blank[:-1] > blank[1:]).view(np.uint8)
    lines = np.flatnonzero(characters[:-1] == 10)
    per_line = np.add.reduceat(begins, lines, dtype=np.uint8)  # modulo 256: the sum is checked too
    return bool((per_line == values).all()) and np.count_nonzero(begins) == values * len(lines)


def _row_fault(row: bytes) -> str | None:
    # What is wrong with the line of a joint, or None.
    tokens = row.split(None, JOINT_VALUES)
    if len(tokens) != JOINT_VALUES:
        return f"{_number(len(tokens), JOINT_VALUES)} where a joint has {JOINT_VALUES}"
    for token in tokens[:3]:
        try:
            value = float(token.replace(b"_", b"?"))
        except ValueError:
            return f"{_quote(token)} is not a number"
        if not abs(value) <= MAX_METRES:  # NaN included
            return f"{_quote(token)} is not a coordinate within {MAX_METRES:.0f} m"
    return None


def _number(values: int, most: int) -> str:
    return f"more than {most} values" if values > most else f"{values} values"


def _quote(text: bytes) -> str:
    # A text that can be printed, whatever the file holds.
    return ascii(text[:20].decode("latin-1")) + ("..." if len(text) > 20 else "")
