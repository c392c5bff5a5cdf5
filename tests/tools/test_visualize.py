"""The visualize command: frames, rows, refused flags."""

import json
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageSequence

from common import UserError
from data_gen.clip import prepare_clip
from data_gen.readers.skeleton_file import read_skeleton_file
from data_gen.writer import StoreWriter
from feeder.datasets.ntu import DATASETS
from tests.golden_files import GOLDEN
from tools import visualize

RECORDINGS = sorted((GOLDEN / "skeletons").glob("*.skeleton"))
FRAMES = {path: len(read_skeleton_file(path)) for path in RECORDINGS}
RECORDING = next(path for path in RECORDINGS if 10 < FRAMES[path] < 80)


def run(*argv) -> None:
    visualize.main([*map(str, argv)])


def test_a_gif_has_every_frame_and_they_differ(tmp_path, capsys):
    out = tmp_path / "a.gif"
    run(RECORDING, "--raw", "--size", 64, "--out", out)
    assert str(out) in capsys.readouterr().out
    with Image.open(out) as gif:
        assert gif.info["loop"] == 0 and gif.info["duration"] == 30  # of 1000/30 ms, in 1/100 s
        frames = [np.array(frame.convert("RGB")) for frame in ImageSequence.Iterator(gif)]
    assert len(frames) == FRAMES[RECORDING]
    assert all((a != b).any() for a, b in pairwise(frames))


def test_a_sheet_has_a_row_a_modality_and_a_column_a_frame(tmp_path):
    out = tmp_path / "a.png"
    run(RECORDING, "--modality", "joint", "motion", "--frames", 3, "--size", 50, "--out", out)
    with Image.open(out) as sheet:
        assert sheet.size == (3 * 50, 2 * 50)
        pixels = np.array(sheet)
    assert (pixels[10:50, :50] != pixels[60:, :50]).any(), "joints and motion look alike"


def test_a_clip_of_a_store_is_that_of_its_file(tmp_path):
    clip = prepare_clip(read_skeleton_file(RECORDING))
    with StoreWriter(tmp_path / "ntu60", DATASETS["ntu60"]) as store:
        store.add(RECORDING.stem, (1, 1, 1, 1, 1), clip)
        store.commit()
    stored, fresh = tmp_path / "stored.png", tmp_path / "fresh.png"
    sample = ("--data-root", tmp_path, "--dataset", "ntu60", "--sample", RECORDING.stem)
    run(*sample, "--size", 50, "--out", stored)
    run(RECORDING, "--size", 50, "--out", fresh)
    assert stored.read_bytes() == fresh.read_bytes()
    with pytest.raises(UserError, match="S999"):
        run(*sample[:-1], "S999", "--out", stored)


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
    flags, drawn = ("--skeleton", "coco_17", "--size", 50, "--out", tmp_path / "o.png"), []
    for name, *more in (
        ["a.npy"], ["a.csv"], ["z.npy", "--axes", "z-up", "--unit", "cm"], ["openpose"],
    ):  # fmt: skip
        for raw in ([], ["--raw"]):
            run(tmp_path / name, *more, *raw, *flags)
            with Image.open(tmp_path / "o.png") as sheet:
                drawn.append(np.array(sheet).astype(int))
    assert (drawn[0] != drawn[1]).any() and (drawn[0] != drawn[6]).any()
    for one in (2, 4):
        assert abs(drawn[one] - drawn[0]).mean() < 1 > abs(drawn[one + 1] - drawn[1]).mean()


def test_augmented_views_have_the_strengths_of_the_flags(tmp_path):
    out, unlike = tmp_path / "a.png", []
    for flags in (("--spatial-probability", 0, "--shortest-crop", 1), ()):
        run(RECORDING, "--augmented", *flags, "--frames", 1, "--size", 50, "--out", out)
        with Image.open(out) as sheet:
            pixels = np.array(sheet).astype(int)
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
        (["a.skeleton", "--augmented", "--modality", "bone"], "--modality"),
        (["a.skeleton", "--yaw", "5"], "--augmented"),
        (["a.skeleton", "--out", "a.mp4"], "a.mp4"),
    ],
)
def test_flags_without_effect_are_refused(argv, named, capsys):
    with pytest.raises(SystemExit) as exit:
        run(*argv)
    assert exit.value.code == 2
    assert named in capsys.readouterr().err.splitlines()[-1]
