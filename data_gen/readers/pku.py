"""Read the raw files of PKU-MMD: videos, labels, and lists of training videos.

The name of a video ends in -L, -M or -R, its view. A name of phase I looks like 0002-L, a name of
phase II like A01N01-L (scene and subject). A video file has one line for each frame, with 150
numbers: body 1, then body 2, each 25 joints with x y z in metres; an absent body is zeros. A label
file has one line for each action: class, first frame, last frame, confidence. Classes count from 1.

This reader was written from descriptions of the format and from public readers, without a raw file.
It assumes that frames count from 0 and that the last frame belongs to the action. A reader that
counts from 1, or leaves the last frame out, differs by one frame. An action that ends after the
video is cut at the end of the video.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data_gen.preparing.clip import align, center, is_empty, repair
from data_gen.readers.raw_folders import RawDataError
from feeder.datasets.pku import ACTION_NAMES
from feeder.skeletons import MAX_METRES, NTU

NAME = re.compile(r"(?:A([0-9]{1,3})N([0-9]{1,3})|([0-9]{1,6}))-([LMR])")
# The released lists contain the misspelling "Validataion videos:".
HEADING = re.compile(r"\s*(train|valid)[a-z]*\s+videos?\s*:?", re.IGNORECASE)
CAMERAS = {"L": 1, "M": 2, "R": 3}
VALUES = NTU.frame_size  # numbers in a line
MAX_LINES = 999  # lines in a label file; the name of a clip has three digits for the line
MAX_BYTES = 512 * 2**20  # a video has a few thousand lines of about 2,000 characters


class PkuFileError(RawDataError):
    """A raw file is malformed; the message names the file, the line if there is one, the fault."""


class Action(NamedTuple):
    """An action in a label file.

    line: the number of the line, from 1
    action: the class, from 1
    start, end: the first and the last frame, from 0, both included
    """

    line: int
    action: int
    start: int
    end: int


def sample_fields(video: str, action: Action) -> tuple[int, int, int, int, int]:
    """The setup, camera, subject, replication and class of a clip, as a store has them.

    In phase II the setup is the scene. In phase I the setup is 1 and the subject is the number of
    the video, since the names of phase I do not give the person. The replication is the line in the
    label file.
    """
    scene, subject, number, view = NAME.fullmatch(video).groups()
    # A store counts from 1.
    numbers = (int(scene), int(subject)) if scene else (1, int(number))
    setup, subject = (max(1, value) for value in numbers)
    return setup, CAMERAS[view], subject, action.line, action.action


def clip_name(video: str, action: Action) -> str:
    """The name of a clip, such as 0002-LN007A012: video, line of the label file, class."""
    return f"{video}N{action.line:03d}A{action.action:03d}"


def read_video(path: Path) -> np.ndarray:
    """Read the bodies of a video: (T, 2, 25, 3) float64, metres.

    Raises PkuFileError if the file cannot be read, a line has not 150 numbers, or a number is not a
    coordinate within MAX_METRES.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise PkuFileError(f"{path.name}: over {MAX_BYTES // 2**20} MB, which is no video")
        if not path.read_bytes().strip():
            raise PkuFileError(f"{path.name}: the file is empty")
        values = np.loadtxt(path, ndmin=2, comments=None, encoding="ascii")
    except OSError as error:
        raise PkuFileError(f"{path.name}: cannot be read: {error.strerror}") from None
    except PkuFileError:
        raise
    except ValueError as error:
        reason = str(error).splitlines()[0].partition(";")[0]  # then come hints on numpy's flags
        raise PkuFileError(f"{path.name}: {reason}") from None
    if values.shape[1] != VALUES:
        raise PkuFileError(f"{path.name}: {values.shape[1]} numbers a line, not {VALUES}")
    wrong = ~(np.abs(values) <= MAX_METRES).all(1)  # NaN included
    if wrong.any():
        raise PkuFileError(
            f"{path.name}, line {1 + np.argmax(wrong)}: a coordinate is not within "
            f"{MAX_METRES:.0f} m"
        )
    return values.reshape(-1, *NTU.frame_shape)


def read_actions(path: Path) -> list[Action | str]:
    """Read the actions of a video, in the order of the label file.

    Returns an Action for each line, or a message for a malformed line.
    Raises PkuFileError if the file cannot be read or is too long.
    """
    lines = {number: line for number, line in enumerate(_lines(path), 1) if line.strip()}
    if max(lines, default=0) > MAX_LINES:
        raise PkuFileError(f"{path.name}: over {MAX_LINES} actions, which is no video")
    return [_action(line, number, path.name) for number, line in lines.items()]


def _action(line: str, number: int, name: str) -> Action | str:
    # A line is: class, first frame, last frame, confidence.
    values = [value.strip() for value in line.split(",")]
    if len(values) != 4 or not all(v.isascii() and v.isdigit() for v in values[:3]):
        return f"{name}, line {number}: {line[:40]!r} is no action"
    action, start, end = (int(value[:12]) for value in values[:3])
    if not 1 <= action <= len(ACTION_NAMES):
        return f"{name}, line {number}: no class {action}"
    if end < start:
        return f"{name}, line {number}: ends before it starts"
    return Action(number, action, start, end)


def read_split(path: Path) -> dict[str, int]:
    """Read a list of training and validation videos: {name of a video: 1 for training, else 0}.

    Raises PkuFileError if a name is not that of a video, if a half is empty, or if a video is in
    both halves.
    """
    halves = {"train": [], "valid": []}  # by the beginning of a heading
    half = None
    for number, line in enumerate(_lines(path), 1):
        if heading := HEADING.match(line):
            half = halves[heading[1].lower()]
            line = line[heading.end() :]
        words = line.replace(",", " ").split()
        if words and half is None:
            raise PkuFileError(f"{path.name}, line {number}: no 'Training videos:' before it")
        for word in words:
            if not NAME.fullmatch(word):
                raise PkuFileError(f"{path.name}, line {number}: {word[:40]!r} is no video")
            half.append(word)
    train, test = halves.values()
    for name, videos in (("training", train), ("validation", test)):
        if not videos:
            raise PkuFileError(f"{path.name}: no {name} video")
    if both := sorted(set(train) & set(test)):
        raise PkuFileError(f"{path.name}: {both[0]} is in both halves")
    return dict.fromkeys(train, 1) | dict.fromkeys(test, 0)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise PkuFileError(f"{path.name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise PkuFileError(f"{path.name}: it is not a text") from None


def cut_clip(video: np.ndarray, action: Action) -> np.ndarray | None:
    """Make the clip of an action.

    video: (T, 2, 25, 3), metres
    action: which frames; an action that ends after the video is cut at the video's last frame
    Returns (frames, 2, 25, 3) float32, repaired, centered and aligned as the clips of NTU RGB+D,
    with the two bodies in their order; None if no body is in the clip.
    Raises PkuFileError if the action begins after the video.
    """
    if action.start >= len(video):
        raise PkuFileError(
            f"line {action.line}: the action begins at frame {action.start}, the video has only "
            f"{len(video)} frames"
        )
    bodies = video[action.start : action.end + 1]
    present = ~is_empty(bodies, (2, 3))  # (frames, 2)
    if not present.any():
        return None
    kept = [repair(bodies[:, body], present[:, body]) for body in range(NTU.bodies)]
    return align(center(np.stack(kept, axis=1))).astype(np.float32)
