"""Read JSON files of pose estimators: OpenPose and Kinetics-skeleton.

OpenPose writes a file for each frame, {"people": [{"person_id": [-1], "pose_keypoints_2d": [x, y,
confidence, ...]}, ...]}, with 25 joints (BODY_25) or 18 (COCO). Kinetics-skeleton has a file for
each clip, {"data": [{"frame_index": 1, "skeleton": [{"pose": [x, y, ...], "score": [...]}, ...]},
...]}, with the 18 joints of OpenPose's COCO.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from common import UserError
from feeder.skeletons import BUILT_IN, Skeleton

FRAME = re.compile(r"(.*?)[_-]?([0-9]+)(?:_keypoints)?")  # name of a video, number of a frame


def is_pose_file(path: Path, *keys: bytes) -> bool:
    """Whether a JSON file has one of some keys near its beginning."""
    with path.open("rb") as file:
        head = file.read(4096)
    return any(key in head for key in keys)


def frame_files(folder: Path) -> list[Path]:
    """The files of a folder with one file a frame, in order; none in any other folder."""
    named = {path: FRAME.fullmatch(path.stem) for path in folder.glob("[!.]*.json")}
    files = sorted((match[1], int(match[2]), path) for path, match in named.items() if match)
    paths = [path for *_, path in files]
    if not paths or not is_pose_file(paths[0], b'"people"'):
        return []
    with paths[0].open("rb") as file:  # a list is a whole recording
        return [] if file.read(64).lstrip().startswith(b"[") else paths


def read(path: Path, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray | None]:
    """Read the people in a file, or in a folder with one file a frame.

    Returns (T, M, V, 3) float64, x y confidence, NaN where nobody is; and (T, M) the tracking
    numbers, -1 for nobody, or None if there are none.
    """
    files = frame_files(path) if path.is_dir() else [path]
    if path.is_dir() and len({FRAME.fullmatch(file.stem)[1] for file in files}) != 1:
        raise UserError(f"{path}: needs the frames of one video, NAME_000_keypoints.json and so on")
    frames = [frame for file in files for frame in _frames(file, skeleton)]
    if path.is_dir() and len(files) > 1:  # frames without people may be missing
        places = np.array([int(FRAME.fullmatch(file.stem)[2]) for file in files])
        places, steps = places - places[0], np.diff(places)
        if steps.min() > 0 and not (steps % steps.min()).any():
            found = dict(zip((places // steps.min()).tolist(), frames, strict=True))
            frames = [found.get(index, []) for index in range(max(found) + 1)]
    shape = len(frames), max(map(len, frames), default=0)
    values, numbers = np.full((*shape, skeleton.num_joints, 3), np.nan), np.full(shape, -1)
    for t, people in enumerate(frames):
        for m, (number, joints) in enumerate(people):
            numbers[t, m], values[t, m] = number, joints
    return values, numbers if (numbers >= 0).any() else None


def _frames(path: Path, skeleton: Skeleton) -> list[list[tuple[int, np.ndarray]]]:
    # For each frame its people: tracking number, or -1, and joints (V, 3).
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if "data" in content:  # Kinetics-skeleton, where frames without people may be missing
            found = {int(frame["frame_index"]): frame["skeleton"] for frame in content["data"]}
            frames = [found.get(index, []) for index in range(min(found), max(found) + 1)]
            return [[_kinetics(person, skeleton) for person in frame] for frame in frames]
        content = content if isinstance(content, list) else [content]
        return [[_openpose(person, skeleton) for person in frame["people"]] for frame in content]
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        fault = f"neither JSON of OpenPose nor Kinetics-skeleton ({error!r:.60})"
        raise UserError(f"{path}: {fault}") from None


def _openpose(person: dict[str, Any], skeleton: Skeleton) -> tuple[int, np.ndarray]:
    number = np.ravel(person.get("person_id", -1))
    joints = np.array(person["pose_keypoints_2d"], np.float64).reshape(-1, 3)
    return int(number[0]) if len(number) else -1, _fitting(joints, skeleton)


def _kinetics(person: dict[str, Any], skeleton: Skeleton) -> tuple[int, np.ndarray]:
    places = np.array(person["pose"], np.float64).reshape(-1, 2)
    return -1, _fitting(np.column_stack([places, person["score"]]), skeleton)


def _fitting(joints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    if len(joints) != skeleton.num_joints:
        fits = [name for name, s in BUILT_IN.items() if s.num_joints == len(joints)]
        fault = f"{len(joints)} joints, the skeleton {skeleton.name} has {skeleton.num_joints}"
        raise UserError(f"{fault}; name another --skeleton ({', '.join(fits) or 'a .json file'})")
    return joints
