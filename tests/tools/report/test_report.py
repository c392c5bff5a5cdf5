"""The report: its page shows what the run's files say."""

import base64
import json
from html.parser import HTMLParser
from unittest import mock

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

import action_classification
import action_retrieval
from feeder.store import open_store
from tests.runs import call
from tests.tiny_run import write_run
from tools import tsne
from tools.drawing.skeletons import fit, scene
from tools.report import __main__ as report
from tools.report import charts, content, gallery

LOSSES = [30.0, 22.5, 20.5]
VOID = {"meta", "input", "img", "br"}


class Page(HTMLParser):
    """A page's text, tags with attributes, and JSON; fails where tags do not nest."""

    def __init__(self, path):
        super().__init__()
        self.text, self.tags, self.open, self.json = "", [], [], None
        self.feed(path.read_text(encoding="utf-8"))
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.tags and self.tags[-1][1].get("id") == "clips" and self.open[-1] == "script":
            self.json = json.loads(data)
        elif self.open[-1:] not in (["script"], ["style"]):
            self.text += data

    def all(self, tag, **attributes):
        return [a for t, a in self.tags if t == tag and attributes.items() <= a.items()]


def log(folder, losses):
    with SummaryWriter(folder) as writer:
        for step, loss in enumerate(losses):
            writer.add_scalar("loss/total", loss, 10 * step)


@pytest.fixture(scope="module")
def run(tmp_path_factory, data_root):
    """A whole run: checkpoint, curves, recognition, retrieval, clusters and report."""
    folder = write_run(tmp_path_factory.mktemp("runs") / "tiny", data_root)
    log(folder, LOSSES)
    where = ("--checkpoint-path", folder)
    made = [
        call(action_classification.main, *where),
        call(action_retrieval.main, *where),
        call(action_retrieval.main, *where, "--pretrained", "random"),
        call(tsne.main, "--checkpoint", folder, "--classes", 3),
        call(report.main, folder, "--queries", 10),
    ]
    assert [done.code for done in made] == [0] * 5, made
    return folder


def test_it_shows_the_figures_of_the_files_and_asks_for_nothing(run):
    page = Page(run / "report.html")
    for name, keys in (
        ("recognition", ("top1", "best_top1")),
        ("retrieval", ("accuracy", "recall_at_5")),
        ("retrieval_random", ("accuracy",)),
    ):
        result = json.loads((run / f"{name}.json").read_text())
        assert all(f"{result[key]:.2f}" in page.text for key in keys)
    assert f"{LOSSES[-1]:.4g}" in page.text and "NTU RGB+D 60, cross subject" in page.text
    assert "84.2" not in page.text, "the paper's, which is of other clips"
    used = [a[key] for _, a in page.tags for key in ("src", "href") if key in a]
    assert used and all(link.startswith(("#", "data:")) for link in used)
    assert len(page.all("img")) == 1 and len(page.all("article")) == 10


def test_the_gallery_has_what_was_retrieved(run, data_root):
    page, store = Page(run / "report.html"), open_store(data_root, "ntu60")
    shown = [canvas["data-clip"] for canvas in page.all("canvas")]
    table = {row[0]: row for row in content.read_csv(run / "retrieval_neighbours.csv")}
    label = dict(zip(store.names, store.label, strict=True))
    for i, article in enumerate(page.all("article")):
        query, *found = shown[6 * i : 6 * i + 6]
        assert found == table[query][1::2]
        right = label[query] == label[found[0]]
        assert article["data-verdict"] == ("right" if right else "wrong")
    assert page.json["parents"] == list(store.skeleton.parents)
    for name, clip in page.json["clips"].items():
        frames = store.clip(store.names.index(name))
        packed = np.frombuffer(base64.b64decode(clip["data"]), "<u2").astype(float)
        packed = packed.reshape(-1, clip["bodies"], 25, 2) / gallery.UNIT
        assert clip["bodies"] == (2 if frames[:, 1].any() else 1)
        assert clip["seconds"] == pytest.approx(len(frames) / 30)
        (whole,) = fit(scene(frames[gallery.evenly(len(frames), gallery.KEYFRAMES)]))
        np.testing.assert_allclose(packed, whole.dots[:, : clip["bodies"]], atol=1e-4)


def test_queries_of_all_classes_right_and_wrong_are_chosen():
    classes = np.repeat([0, 1, 2], 100)
    right = np.arange(300) % 100 > 4  # five wrong ones a class
    chosen = gallery.choose(classes, right, 12, seed=0)
    kinds = [(int(classes[i]), bool(right[i])) for i in chosen]
    assert kinds == [(c, r) for c in range(3) for r in (True, True, False, False)]
    assert chosen == gallery.choose(classes, right, 12, seed=0)
    assert len(gallery.choose(classes[:7], right[:7], 12, seed=0)) == 7


def test_what_is_missing_is_named_with_its_command(run, tmp_path, data_root):
    folder = write_run(tmp_path / "bare", data_root)
    done = call(report.main, folder)
    assert done.code == 0, done.err
    page = Page(folder / "report.html")
    for script in ("action_classification.py", "action_retrieval.py", "tools.tsne"):
        assert script in page.text and script in done.out
    assert not page.all("canvas")
    done = call(report.main, run, "--data-root", tmp_path, "--out", tmp_path / "report.html")
    assert done.code == 0 and "gallery" in done.out and str(tmp_path) in done.out
    assert not Page(tmp_path / "report.html").all("canvas")
    done = call(report.main, tmp_path / "no_such_run")
    assert done.code == 1 and "no_such_run" in done.err and done.err.count("\n") == 1


def test_several_runs_stand_side_by_side(run, tmp_path, data_root):
    other = write_run(tmp_path / "other", data_root, seed=1, hidden_size=32)
    log(other, [loss + 1 for loss in LOSSES])
    done = call(report.main, run, other)
    assert done.code == 0, done.err
    page = Page(run.parent / f"report_{run.name}_other.html")
    runs = [content.run(folder, folder.name) for folder in (run, other)]
    assert content.differences(runs) == [
        {"hidden_size": 16, "seed": 0},
        {"hidden_size": 32, "seed": 1},
    ]
    assert [[bool(one) for one in row] for row in content.side_by_side(runs)] == [[True, False]] * 3
    (chart,) = charts.curves(runs)
    assert chart["last"] == [(0, "20.5"), (1, "21.5")]
    assert "var(--run1)" in chart["svg"] and "var(--run2)" in chart["svg"]
    assert "hidden size" in page.text and not page.all("canvas")
    assert call(report.main, run, other, "--queries", 3).code == 2


def test_text_is_escaped(run, tmp_path):
    svg = charts.confusion(["<b>&", "$x^2$"], np.array([[3, 1], [0, 0]]))
    assert "<b>" not in svg and "&lt;b&gt;&amp;" in svg and "$x^2$" in svg
    hostile = tmp_path / "</title><script>alert(1)<"
    hostile.mkdir(parents=True)
    assert call(report.main, hostile, "--out", tmp_path / "a.html").code == 0
    assert "alert(1)<" in Page(tmp_path / "a.html").text
    assert not Page(tmp_path / "a.html").all("script")


def test_a_resumed_run_without_a_point_yet_has_no_curve(tmp_path):
    with mock.patch("time.time", return_value=1e9), SummaryWriter(tmp_path) as writer:
        writer.add_scalar("loss/total", 1.0, 10)
    with SummaryWriter(tmp_path, purge_step=1) as writer:  # which TensorBoard forgets
        writer.add_scalar("other", 1.0, 2)
    assert list(content.curves(tmp_path)) == ["other"]
