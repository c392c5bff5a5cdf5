"""The literal preprocessing against the published arrays, and the rules they do not show."""

import pickle

import numpy as np
import pytest

from tests.golden_files import GOLDEN, load
from tests.literal import preprocess

SKELETONS = GOLDEN / "skeletons"


PARTS = {
    "cross_subject": lambda name: str(load("preprocess")[f"part_xsub/{name}"]),
    "cross_view": lambda name: "train" if name[5:8] in ("002", "003") else "val",
}


@pytest.mark.parametrize(
    ("protocol", "missing"), [("cross_subject", []), ("cross_view", ["S001C001P001R001A001"])]
)
def test_a_protocol_has_the_published_arrays(tmp_path, protocol, missing):
    golden, seen = load("preprocess"), [*missing]
    preprocess.write_protocol(SKELETONS, protocol, tmp_path, missing)
    for part in ("train", "val"):
        joints = np.load(tmp_path / f"{part}_data_joint.npy")
        num_frames = np.load(tmp_path / f"{part}_num_frame.npy")
        names, labels = pickle.loads((tmp_path / f"{part}_label.pkl").read_bytes())
        assert joints.shape == (len(names), 3, 300, 25, 2)
        assert {PARTS[protocol](name) for name in names} == {part}
        assert labels == [golden[f"label/{name}"] for name in names]
        for name, clip, frames in zip(names, joints, num_frames, strict=True):
            np.testing.assert_allclose(
                clip[:, :frames], golden[f"joints/{name}"], rtol=0, atol=1e-5
            )
        seen += names
    assert sorted(seen) == sorted(case.split()[0] for case in golden["cases"])


def body_of(pattern, rng, length=12):
    """A padded body with a random filled frame for each x of the pattern, an empty one else."""
    body = np.zeros((length, 25, 3), np.float32)
    for t, mark in enumerate(pattern):
        if mark == "x":
            body[t] = rng.uniform(1, 2, (25, 3))
    return body


@pytest.mark.parametrize(
    ("pattern", "sources"),
    [
        ("xxx", [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]),
        ("xxxxxxx", [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4]),
        ("..xx.x", [2, 3, 5, 2, 3, 5, 2, 3, 5, 2, 3, 5]),
        ("xx.x", [0, 1, None, 3] * 3),
        ("xxxxxxxxxxxx", list(range(12))),
        ("", 12 * [None]),
    ],
)
def test_repair(pattern, sources, rng):
    body = body_of(pattern, rng)
    before = body.copy()
    preprocess.repair(body)
    for t, source in enumerate(sources):
        np.testing.assert_array_equal(body[t], 0 if source is None else before[source])
