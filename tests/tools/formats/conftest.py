"""Fixtures of the tests of formats: raw recordings and their prepared clips."""

from pathlib import Path

import numpy as np
import pytest

from data_gen.clip import prepare_clip
from data_gen.readers.skeleton_file import SampleName, read_skeleton_file
from data_gen.synthetic import write_recordings

# Two training and two test subjects, three cameras; actions from A050 on have two people.
SAMPLES = [
    SampleName(1 + (p + c) % 2, c, p, 1, action)
    for p, c, action in [
        *((1, 1, 7), (1, 2, 10), (1, 3, 50), (2, 1, 55), (2, 2, 7), (2, 3, 23)),
        *((3, 1, 50), (3, 2, 58), (6, 1, 10), (6, 3, 24)),
    ]
]


@pytest.fixture(scope="session")
def raw(tmp_path_factory) -> Path:
    """A folder of synthetic recordings."""
    folder = tmp_path_factory.mktemp("import") / "raw"
    write_recordings(folder, SAMPLES, seed=3)
    return folder


@pytest.fixture(scope="session")
def expected(raw) -> dict[str, np.ndarray]:
    """{name: the clip that is prepared from the raw file} of all recordings."""
    return {path.stem: prepare_clip(read_skeleton_file(path)) for path in raw.glob("*.skeleton")}
