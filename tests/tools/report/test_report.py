"""The report: its page shows what the run's files say."""

import html
import json
import re
import shutil
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

import action_classification
import action_retrieval
from tests.runs import call, refusal, succeed
from tests.tiny_run import write_run
from tools.drawing.skeletons import fit, scene
from tools.formats.tables import read_csv
from tools.report import __main__ as report
from tools.report import content

LOSSES = [30.0, 22.5, 20.5]


def source(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def text(path: Path) -> str:
    """What a reader of a page sees."""
    return html.unescape(re.sub(r"(?s)<(script|style|svg).*?</\1>|<[^>]+>", " ", source(path)))


def canvases(path: Path) -> list[str]:
    """The clips that a page shows."""
    return re.findall(r'<canvas data-clip="([^"]+)"', source(path))


def log(folder, losses):
    with SummaryWriter(folder) as writer:
        for step, loss in enumerate(losses):
            writer.add_scalar("loss/total", loss, 10 * step)


@pytest.fixture(scope="module")
def run(tmp_path_factory, data_root):
    """A whole run: checkpoint, curves, recognition, retrieval and report."""
    folder = write_run(tmp_path_factory.mktemp("runs") / "tiny", data_root)
    log(folder, LOSSES)
    where = ("--checkpoint-path", folder)
    succeed(action_classification.main, *where)
    succeed(action_retrieval.main, *where)
    succeed(action_retrieval.main, *where, "--pretrained", "random")
    succeed(report.main, folder, "--queries", 10)
    return folder


def test_it_shows_the_figures_of_the_files_and_asks_for_nothing(run):
    seen = text(run / "report.html")
    for name, keys in (
        ("recognition", ("top1", "best_top1")),
        ("retrieval", ("accuracy", "recall_at_5")),
        ("retrieval_random", ("accuracy",)),
    ):
        result = json.loads((run / f"{name}.json").read_text())
        assert all(f"{result[key]:.2f}" in seen for key in keys)
        assert Path(result["checkpoint"]).name in seen
    assert f"{LOSSES[-1]:.4g}" in seen and "NTU RGB+D 60, cross subject" in seen
    assert "84.2" not in seen, "the paper's, which is of other clips"
    links = re.findall(r'\b(?:src|href)="([^#][^"]{,4})', source(run / "report.html"))
    assert links == ["data:"] * 3, "the confusion matrices"


def test_the_gallery_has_what_was_retrieved(run, store):
    page = run / "report.html"
    shown = canvases(page)
    table = {row[0]: row for row in read_csv(run / "retrieval_neighbours.csv")[1]}
    assert len(shown) == 10 * 6
    for query, *found in zip(*[iter(shown)] * 6, strict=True):
        assert found == table[query][1::2]
    packed = re.search(r'<script id="clips" type="application/json">(.*?)</script>', source(page))
    player = json.loads(packed[1])
    assert player["parents"] == list(store.skeleton.parents)
    for name, clip in player["clips"].items():
        frames = store.clip(store.names.index(name))
        points = np.array(clip["frames"]) / content.UNIT  # (K, M, V, 2)
        assert points.shape[1] == (2 if frames[:, 1].any() else 1)
        assert clip["seconds"] == pytest.approx(len(frames) / 30)
        (whole,) = fit(scene(frames[content.evenly(len(frames), content.KEYFRAMES)]))
        np.testing.assert_allclose(points, whole.dots[:, : points.shape[1]], atol=1e-3)


def test_a_run_of_joints_has_a_gallery(tmp_path, data_root):
    folder = write_run(tmp_path / "joints", data_root, more={"method": "joint"})
    succeed(action_retrieval.main, "--checkpoint-path", folder)
    assert "no gallery" not in succeed(report.main, folder).lower()
    assert canvases(folder / "report.html")


def test_queries_of_all_classes_right_and_wrong_are_chosen():
    classes = np.repeat([0, 1, 2], 100).tolist()
    right = (np.arange(300) % 100 > 4).tolist()  # five wrong ones a class
    chosen = content.choose(classes, right, 12)
    kinds = [(classes[i], right[i]) for i in chosen]
    assert kinds == [(c, r) for c in range(3) for r in (True, True, False, False)]
    assert chosen == content.choose(classes, right, 12)
    assert len(content.choose(classes[:7], right[:7], 12)) == 7


def test_a_page_without_a_gallery_says_why(run, tmp_path, data_root):
    folder = write_run(tmp_path / "bare", data_root)
    assert "action_retrieval.py" in succeed(report.main, folder)
    assert "action_retrieval.py" in text(folder / "report.html")
    flags = ("--data-root", tmp_path, "--out", tmp_path / "report.html")
    assert str(tmp_path) in succeed(report.main, run, *flags)
    assert not canvases(tmp_path / "report.html")
    assert "no_such_run" in refusal(report.main, tmp_path / "no_such_run")


def test_several_runs_stand_side_by_side(run, tmp_path, data_root):
    other = write_run(tmp_path / "other", data_root, seed=1, hidden_size=32)
    log(other, [loss + 1 for loss in LOSSES])
    succeed(report.main, run, other)
    page = run.parent / f"report_{run.name}_other.html"
    runs = [content.run(folder, folder.name) for folder in (run, other)]
    assert content.differences(runs) == {"hidden_size": [16, 32], "seed": [0, 1]}
    assert [[bool(one) for one in row] for row in content.side_by_side(runs)] == [[True, False]] * 3
    (chart,) = content.charts(runs)
    assert chart["last"] == [(content.COLORS[0], "20.5"), (content.COLORS[1], "21.5")]
    assert content.COLORS[0] in chart["svg"] and content.COLORS[1] in chart["svg"]
    assert "hidden size" in text(page) and not canvases(page)
    assert call(report.main, run, other, "--queries", 3).code == 2
    with mock.patch.object(content, "paper_figure", side_effect=3 * [None] + 3 * [84.2]):
        succeed(report.main, run, shutil.copytree(run, tmp_path / "twin"))
    assert "84.2" in text(run.parent / f"report_{run.name}_twin.html")


def test_text_is_escaped(tmp_path):
    hostile = tmp_path / "</title><script>alert(1)<"
    hostile.mkdir(parents=True)
    succeed(report.main, hostile, "--out", tmp_path / "a.html")
    assert "alert(1)<" in text(tmp_path / "a.html")
    assert "<script" not in source(tmp_path / "a.html")


def test_a_resumed_run_without_a_point_yet_has_no_curve(tmp_path):
    with mock.patch("time.time", return_value=1e9), SummaryWriter(tmp_path) as writer:
        writer.add_scalar("loss/total", 1.0, 10)
    with SummaryWriter(tmp_path, purge_step=1) as writer:  # which TensorBoard forgets
        writer.add_scalar("other", 1.0, 2)
    assert list(content.curves(tmp_path)) == ["other"]
