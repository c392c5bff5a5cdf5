"""The picture of the method: made of a recording, the same for the same seed."""

from tests.golden_files import GOLDEN
from tests.runs import call
from tools import method_figure

RECORDING = GOLDEN / "skeletons" / "S001C001P001R001A001.skeleton"


def test_it_names_each_step_and_shows_the_clip_and_its_views(tmp_path):
    files = [tmp_path / name for name in ("a.svg", "b.svg", "c.svg")]
    for file, seed in zip(files, (0, 0, 1), strict=True):
        done = call(method_figure.main, RECORDING, "--seed", seed, "--out", file)
        assert done.code == 0, done.err
    one, same, other = (file.read_text() for file in files)
    assert one == same != other
    assert one.count("<image") == 5, "the clip and four views"
    for kind in ("joint", "bone", "motion"):
        assert f"embed {kind}" in one and f"project {kind}" in one
    assert "loss = 5 (intra + inter) + reg" in one


def test_what_cannot_be_drawn_is_refused(tmp_path):
    assert call(method_figure.main, RECORDING, "--out", tmp_path / "a.gif").code == 2
    done = call(method_figure.main, tmp_path / "none.skeleton", "--out", tmp_path / "a.png")
    assert done.code == 1 and "none.skeleton" in done.err and not (tmp_path / "a.png").exists()
