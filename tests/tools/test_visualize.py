"""The visualize command: frames, rows, refused flags."""

import json
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageSequence

from data_gen.clip import prepare_clip
from data_gen.readers.skeleton_file import read_skeleton_file
from data_gen.writer import StoreWriter
from feeder.datasets import NTU_DATASETS
from tests.golden_files import GOLDEN
from tests.runs import call, refusal, succeed
from tools import visualize

RECORDINGS = sorted((GOLDEN / "skeletons").glob("*.skeleton"))
RECORDING = next(path for path in RECORDINGS if 10 < len(read_skeleton_file(path)) < 80)


def drawn(folder, *argv) -> np.ndarray:
    """The pixels of a PNG (H, W, 3) whose pictures are 50 pixels wide."""
    succeed(visualize.main, *argv, "--size", 50, "--out", folder / "a.png")
    with Image.open(folder / "a.png") as sheet:
        return np.array(sheet).astype(int)


def test_a_gif_has_every_frame_and_they_differ(tmp_path):
    out = tmp_path / "a.gif"
    succeed(visualize.main, RECORDING, "--raw", "--size", 64, "--out", out)
    with Image.open(out) as gif:
        assert gif.info["loop"] == 0 and gif.info["duration"] == 30  # of 1000/30 ms, in 1/100 s
        frames = [np.array(frame.convert("RGB")) for frame in ImageSequence.Iterator(gif)]
    assert len(frames) == len(read_skeleton_file(RECORDING))
    assert all((a != b).any() for a, b in pairwise(frames))


def test_a_sheet_has_a_row_a_modality_and_a_column_a_frame(tmp_path):
    pixels = drawn(tmp_path, RECORDING, "--modality", "joint", "motion", "--frames", 3)
    assert pixels.shape == (2 * 50, 3 * 50, 3)
    assert (pixels[10:50, :50] != pixels[60:, :50]).any(), "joints and motion look alike"


def test_a_clip_of_a_store_is_that_of_its_file(tmp_path):
    clip = prepare_clip(read_skeleton_file(RECORDING))
    with StoreWriter(tmp_path / "ntu60", NTU_DATASETS["ntu60"]) as store:
        store.add(RECORDING.stem, (1, 1, 1, 1, 1), clip)
        store.commit()
    sample = ("--data-root", tmp_path, "--dataset", "ntu60", "--sample")
    assert (drawn(tmp_path, *sample, RECORDING.stem) == drawn(tmp_path, RECORDING)).all()
    assert "S999" in refusal(visualize.main, *sample, "S999")


def test_a_recording_of_any_format_is_read_as_the_flags_say(tmp_path):
    pose = np.random.default_rng(0).normal([0, 0, 3], 0.3, (12, 17, 3))
    (tmp_path / "openpose").mkdir()
    for i, frame in enumerate(pose):
        people = [{"pose_keypoints_2d": (100 + 50 * frame).ravel().tolist()}]
        text = json.dumps({"people": people})
        (tmp_path / "openpose" / f"a_{i:012d}_keypoints.json").write_text(text)
    np.save(tmp_path / "a.npy", pose)
    np.save(tmp_path / "z.npy", 100 * pose[..., [0, 2, 1]] * (1, -1, 1))
    np.savetxt(tmp_path / "a.csv", pose.reshape(12, -1), delimiter=",")
    found = []
    for name, *more in (
        ["a.npy"], ["a.csv"], ["z.npy", "--axes", "z-up", "--unit", "cm"], ["openpose"],
    ):  # fmt: skip
        for raw in ([], ["--raw"]):
            argv = (tmp_path / name, *more, *raw, "--skeleton", "coco_17")
            found.append(drawn(tmp_path, *argv))
    assert (found[0] != found[1]).any() and (found[0] != found[6]).any()
    for one in (2, 4):
        assert abs(found[one] - found[0]).mean() < 1 > abs(found[one + 1] - found[1]).mean()


def test_augmented_views_have_the_strengths_of_the_flags(tmp_path):
    unlike = []
    for flags in (("--spatial-probability", 0, "--shortest-crop", 1), ()):
        pixels = drawn(tmp_path, RECORDING, "--augmented", *flags, "--frames", 1)
        assert pixels.shape == (5 * 50, 50, 3)
        whole, joint = pixels[8:48], pixels[58:98]  # below their names
        unlike.append(abs(whole - joint).mean())
    assert unlike[0] < 1 < 5 < unlike[1]


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        ([], "FILE"),
        (["a.skeleton", "--sample", "b"], "--sample"),
        (["--sample", "b", "--axes", "z-up"], "--axes"),
        (["a.skeleton", "--unit", "mm"], "--unit"),
        (["a.skeleton", "--augmented", "--modality", "bone"], "--modality"),
        (["a.skeleton", "--yaw", "5"], "--augmented"),
        (["a.skeleton", "--out", "a.mp4"], "a.mp4"),
    ],
)
def test_flags_without_effect_are_refused(argv, named):
    ended = call(visualize.main, *argv)
    assert ended.code == 2 and named in ended.err.splitlines()[-1]
