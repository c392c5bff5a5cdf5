"""Moved to data_gen.readers.recording and data_gen.reading."""

from pathlib import Path

import numpy as np

from common import UserError as ArrayFileError
from data_gen.readers.recording import SUFFIXES, read_recording
from data_gen.reading import UNITS, Reading
from feeder.skeletons import Skeleton

__all__ = ["SUFFIXES", "UNITS", "ArrayFileError", "read_bodies"]


def read_bodies(path: Path, skeleton: Skeleton, unit: float = 1.0) -> np.ndarray:
    """Read the bodies of a recording as they stand: (T, M, V, 3) float64, metres, 0 if missing."""
    name = next(name for name, metres in UNITS.items() if metres == unit)
    return np.nan_to_num(read_recording(path, Reading(skeleton, unit=name), "kinect").bodies)
