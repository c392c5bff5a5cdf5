"""Read raw files of NW-UCLA, in the JSON form that CTR-GCN and later codes use.

A file aAA_sSS_eEE_vVV.json (action, subject, repetition, view) is {"file_name": "aAA_sSS_eEE_vVV",
"skeletons": T frames of 20 joints of x y z in metres, "label": 1 to 10}. The recordings show one
body and were made with Kinect v1.
"""

import json
import re
from pathlib import Path

import numpy as np

from common import UserError
from data_gen.clip import require_metres
from feeder.datasets.nwucla import ACTIONS

SUFFIX = ".json"
NAME = re.compile(r"a([0-9]{2})_s([0-9]{2})_e([0-9]{2})_v([0-9]{2})")


def parse_name(name: str) -> tuple[int, int, int, int, int]:
    """Setup, camera, subject, replication, action of a clip such as a01_s01_e00_v01; all from 1.

    The setup is always 1, since there is only one. The action is the label, 1 to 10.
    Raises UserError if the name is not that of a clip of NW-UCLA.
    """
    match = NAME.fullmatch(name)
    action, subject, repetition, view = map(int, match.groups()) if match else (0, 0, 0, 0)
    if action not in ACTIONS or subject < 1 or not 1 <= view <= 3:
        raise UserError(f"{name}: not a name like a01_s01_e00_v01 of NW-UCLA")
    return 1, view, subject, 1 + repetition, 1 + list(ACTIONS).index(action)


def read_ucla_file(path: Path) -> np.ndarray:
    """Read the body in a raw file: (T, 1, 20, 3) float64, metres.

    Raises UserError if the file does not hold whole frames of coordinates, or if its label does not
    fit its name.
    """
    action = parse_name(path.stem)[-1]
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        label, bodies = content["label"], np.array(content["skeletons"], dtype=np.float64)
        bodies = bodies.reshape(len(bodies), 1, 20, 3)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise UserError(f"{path.name}: not frames of 20 joints in JSON ({error!r:.80})") from None
    if label != action:
        raise UserError(f"{path.name}: the label is {label!r:.20}, by the name it is {action}")
    require_metres(path.name, bodies)
    return bodies
