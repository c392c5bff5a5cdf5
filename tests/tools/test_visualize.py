"""The visualize command: frames, panels, what it refuses."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageSequence

from data_gen.preparing.clip import prepare_clip
from data_gen.preparing.store import StoreWriter
from data_gen.readers.skeleton_file import read_skeleton_file
from feeder.datasets.ntu import DATASETS
from tests.golden_files import GOLDEN
from tools import cli, visualize
from tools.drawing import draw

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
        frames = [np.array(frame.convert("RGB")) for frame in ImageSequence.Iterator(gif)]
    assert len(frames) == FRAMES[RECORDING]
    assert all((a != b).any() for a, b in pairwise(frames))


def test_a_sheet_has_a_row_a_modality_and_a_column_a_frame(tmp_path):
    out = tmp_path / "a.png"
    flags = ("--modality", "joint", "motion", "--frames", 3, "--size", 50, "--out", out)
    run(RECORDING, *flags)
    with Image.open(out) as sheet:
        assert sheet.size == (3 * 52 + 2, 2 * 52 + 2)
        pixels = np.array(sheet)
    assert (pixels[2:52, 2:52] != pixels[54:104, 2:52]).any(), "joints and motion look alike"


@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_only_what_a_sensor_saw_stands_on_a_floor(tmp_path, monkeypatch, capsys, suffix):
    """Preparing turns the line of the shoulders, and the direction of gravity with it."""
    monkeypatch.setattr(draw, "FLOOR", (255, 0, 255))  # a color that nothing else has
    for flags, has_floor in (([], False), (["--raw"], True)):
        run(RECORDING, *flags, "--frames", 2, "--out", tmp_path / f"a.{suffix}")
        with Image.open(tmp_path / f"a.{suffix}") as image:
            red, green, blue = np.array(image.convert("RGB")).astype(int).transpose(2, 0, 1)
        assert ((np.minimum(red, blue) - green).max() > 40) == has_floor
    with pytest.raises(SystemExit):
        run("--help")
    assert "floor" in capsys.readouterr().out


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
    with pytest.raises(cli.UserError, match="S999"):
        run(*sample[:-1], "S999", "--out", stored)


def test_augmented_views_have_the_strengths_of_the_flags(tmp_path):
    out = tmp_path / "a.png"
    still = ("--augmented", "--spatial-probability", 0, "--shortest-crop", 1)
    run(RECORDING, *still, "--frames", 1, "--size", 50, "--out", out)
    with Image.open(out) as sheet:
        pixels = np.array(sheet)
    whole, joint = pixels[2:52, 2:52], pixels[54:104, 2:52]
    assert (whole[20:] == joint[20:]).all()  # below their names


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        ([], "FILE.skeleton or a --sample"),
        (["a.skeleton", "--sample", "b"], "FILE.skeleton or a --sample"),
        (["--sample", "b", "--raw"], "--raw"),
        (["a.skeleton", "--out", "a.mp4"], "a.mp4"),
        (["a.skeleton", "--size", 100_000], "--size"),
    ],
)
def test_flags_that_make_no_sense_are_refused(argv, reason, capsys):
    with pytest.raises(SystemExit) as exit:
        run(*argv)
    assert exit.value.code == 2
    assert reason in capsys.readouterr().err


def test_a_file_that_is_no_recording_is_named(tmp_path):
    broken = tmp_path / "S001C001P001R001A001.skeleton"
    broken.write_text("three\n")
    with pytest.raises(cli.UserError, match=r"S001C001P001R001A001.skeleton, line 1: 'three'"):
        run(broken, "--out", tmp_path / "x.gif")
    assert not (tmp_path / "x.gif").exists()
