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

from common import UserError
from data_gen.clip import align, center, is_empty, repair, require_metres
from feeder.datasets.pku import ACTION_NAMES
from feeder.skeletons import NTU

NAME = re.compile(r"(?:A([0-9]{1,3})N([0-9]{1,3})|([0-9]{1,6}))-([LMR])")
ACTION = re.compile(r"\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*,[^,]*")
# The released lists contain the misspelling "Validataion videos:".
HEADING = re.compile(r"\s*(train|valid)[a-z]*\s+videos?\s*:?", re.IGNORECASE)
CAMERAS = {"L": 1, "M": 2, "R": 3}


class Clip(NamedTuple):
    """An action in a video, as a clip; the name is such as 0002-LN007A012 (line 7, class 12)."""

    name: str
    fields: tuple[int, int, int, int, int]  # setup, camera, subject, replication, action
    joints: np.ndarray | None  # (T, 2, 25, 3) float32; None if it has no body
    is_cut: bool  # whether the label ends after the video


def read_clips(path: Path, labels: Path) -> list[Clip | UserError]:
    """The clips of a video, sorted by name; a fault in the place of each malformed label.

    path: the skeletons of the video
    labels: the folder of labels

    In phase II the setup is the scene. In phase I the setup is 1 and the subject is the number of
    the video, since the names of phase I do not give the person. The replication is the line in the
    label file. Raises UserError if a file is malformed.
    """
    video = read_video(path)
    scene, person, video_number, view = NAME.fullmatch(path.stem).groups()
    # A store counts from 1.
    setup, subject = max(1, int(scene or 1)), max(1, int(person or video_number))
    clips: list[Clip | UserError] = []
    for number, line in enumerate(_lines(labels / path.name), 1):
        match = ACTION.fullmatch(line)
        action, start, end = map(int, match.groups()) if match else (0, 0, 0)
        if (
            0 < action <= len(ACTION_NAMES)
            and start <= end
            and start < len(video)
            and number < 1000
        ):
            name = f"{path.stem}N{number:03d}A{action:03d}"
            joints = prepare_pair(video[start : end + 1])
            fields = setup, CAMERAS[view], subject, number, action
            clips.append(Clip(name, fields, joints, end >= len(video)))
        elif line.strip():
            fault = f"{line[:40]!r} is not class (1 to {len(ACTION_NAMES)}), start, end, confidence"
            fault += f" in a video of {len(video)} frames"
            clips.append(UserError(f"{path.name}, line {number}: {fault}"))
    return clips


def read_video(path: Path) -> np.ndarray:
    """Read the bodies of a video: (T, 2, 25, 3) float64, metres.

    Raises UserError if a line has not 150 numbers, or a number is no coordinate.
    """
    if not path.stat().st_size:
        raise UserError(f"{path.name}: the file is empty")
    try:
        values = np.loadtxt(path, ndmin=2, comments=None, encoding="ascii")
    except ValueError as error:
        reason = str(error).splitlines()[0].partition(";")[0]  # then come hints on numpy's flags
        raise UserError(f"{path.name}: {reason}") from None
    if values.shape[1] != NTU.frame_size:
        raise UserError(f"{path.name}: {values.shape[1]} numbers a line, not {NTU.frame_size}")
    require_metres(path.name, values)
    return values.reshape(-1, *NTU.frame_shape)


def read_split(path: Path) -> dict[str, int]:
    """Read a list of training and validation videos: {name of a video: 1 for training, else 0}.

    Raises UserError if a name is not that of a video, if a half is empty, or if a video is in both
    halves.
    """
    halves: dict[str, list[str]] = {"train": [], "valid": []}  # by the beginning of a heading
    half = None
    for number, line in enumerate(_lines(path), 1):
        if heading := HEADING.match(line):
            half = halves[heading[1].lower()]
            line = line[heading.end() :]
        for word in line.replace(",", " ").split():
            if half is None or not NAME.fullmatch(word):
                fault = "neither 'Training videos:' nor the name of a video below such a heading"
                raise UserError(f"{path.name}, line {number}: {word[:40]!r} is {fault}")
            half.append(word)
    train, test = halves.values()
    if both := set(train) & set(test):
        raise UserError(f"{path.name}: {min(both)} is in both halves")
    if not train or not test:
        raise UserError(f"{path.name}: a half is empty")
    return dict.fromkeys(train, 1) | dict.fromkeys(test, 0)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path.name}: not a text file") from None


def prepare_pair(bodies: np.ndarray) -> np.ndarray | None:
    """The clip (T, 2, 25, 3) float32 of two bodies (T, 2, 25, 3), metres; None without any body.

    Repaired, centered and aligned as the clips of NTU RGB+D, but with the bodies in their order.
    """
    present = ~is_empty(bodies, (2, 3))  # (T, 2)
    if not present.any():
        return None
    kept = [repair(bodies[:, body], present[:, body]) for body in range(NTU.bodies)]
    return align(center(np.stack(kept, axis=1))).astype(np.float32)
