"""Read raw files of NW-UCLA, in the JSON form that CTR-GCN and later codes use.

A file aAA_sSS_eEE_vVV.json (action, subject, repetition, view) is {"file_name": "aAA_sSS_eEE_vVV",
"skeletons": T frames of 20 joints of x y z in metres, "label": 1 to 10}. The recordings show one
body and were made with Kinect v1.
"""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data_gen.readers.raw_folders import RawDataError
from data_gen.readers.skeleton_file import MAX_FRAMES
from feeder.datasets.nwucla import ACTIONS
from feeder.skeletons import KINECT_V1, MAX_METRES

SUFFIX = ".json"
NAME = re.compile(r"a([0-9]{2})_s([0-9]{2})_e([0-9]{2})_v([0-9]{2})")
MAX_BYTES = 64 * 2**20  # a clip has a few hundred frames of about 700 characters


class UclaFileError(RawDataError):
    """A raw file is malformed; the message names the file and the fault."""


class UclaName(NamedTuple):
    """The fields of a clip's name, as a store has them; all count from 1.

    setup is always 1, since there is only one. action is the label, 1 to 10.
    """

    setup: int
    camera: int
    subject: int
    replication: int
    action: int


def parse_name(name: str) -> UclaName:
    """The fields of a clip's name, which is given without suffix, such as a01_s01_e00_v01.

    Raises UclaFileError if the name is not that of a clip of NW-UCLA.
    """
    match = NAME.fullmatch(name)
    action, subject, repetition, view = map(int, match.groups()) if match else (0, 0, 0, 0)
    if action not in ACTIONS or subject < 1 or not 1 <= view <= 3:
        raise UclaFileError(f"{name}: not a name like a01_s01_e00_v01 of NW-UCLA")
    return UclaName(1, view, subject, 1 + repetition, 1 + list(ACTIONS).index(action))


def read_ucla_file(path: Path) -> np.ndarray:
    """Read the body in a raw file: (T, 1, 20, 3) float64, metres.

    Raises UclaFileError if the file does not hold whole frames of coordinates within MAX_METRES, or
    if its label does not fit its name.
    """
    content = _read_json(path)
    if not isinstance(content, dict) or not {"skeletons", "label"} <= content.keys():
        raise UclaFileError(f"{path.name}: no object with 'skeletons' and 'label'")
    label, action = content["label"], parse_name(path.stem).action
    if type(label) is not int or label != action:
        raise UclaFileError(f"{path.name}, label: {str(label)[:20]!r}, by the name it is {action}")
    return _bodies(path.name, content["skeletons"])


def _read_json(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UclaFileError(f"{path.name}: over {MAX_BYTES // 2**20} MB, which is no clip")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UclaFileError(f"{path.name}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # an unknown encoding included
        raise UclaFileError(f"{path.name}: not JSON: {str(error)[:80]}") from None


def _bodies(name: str, skeletons: Any) -> np.ndarray:
    # The field `skeletons` as an array (T, 1, 20, 3) float64.
    try:
        values = np.array(skeletons)
    except ValueError:  # lists of different lengths
        values = np.array(None)
    shape = values.shape[1:]
    whole = values.dtype.kind in "if" and shape == (KINECT_V1.num_joints, 3)
    if not (whole and 1 <= len(values) <= MAX_FRAMES):
        raise UclaFileError(
            f"{name}, skeletons: not 1 to {MAX_FRAMES} frames of {KINECT_V1.num_joints} joints of "
            "x y z"
        )
    wrong = ~(np.abs(values) <= MAX_METRES).all((1, 2))  # NaN included
    if wrong.any():
        raise UclaFileError(
            f"{name}, skeletons, frame {1 + np.argmax(wrong)}: a coordinate is not within "
            f"{MAX_METRES:.0f} m"
        )
    return values[:, None].astype(np.float64)
