"""The report: its figures are those of the run's files, and it works in a real browser."""

import base64
import json
import re
import time
from contextlib import ExitStack

import numpy as np
import pytest
import torch
from torch.utils.tensorboard import SummaryWriter

import action_classification
import action_retrieval
from data_gen.datasets.ntu import ACTION_NAMES, DATASETS
from feeder.store import open_store
from tests import chromium
from tests.runs import call
from tests.tiny_run import write_run
from tools import tsne
from tools.cli import UserError
from tools.drawing import draw
from tools.evaluation import confusion, paper, retrieved
from tools.report import __main__ as report
from tools.report import collect, gallery

LOSSES = [30.0, 22.5, 20.5]


@pytest.fixture(scope="module")
def run(tmp_path_factory, data_root):
    """A whole run: checkpoint, curves, recognition, retrieval, clusters and report."""
    folder = write_run(tmp_path_factory.mktemp("runs") / "tiny", data_root)
    with SummaryWriter(folder) as writer:
        for step, loss in enumerate(LOSSES):
            writer.add_scalar("loss/total", loss, 10 * step)
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


def embedded(folder) -> dict:
    """The data in a page."""
    text = (folder / "report.html").read_text()
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    return json.loads(data)


def test_its_figures_are_those_of_the_files(run, data_root):
    shown = embedded(run)
    for result in shown["results"]:
        file = json.loads((run / result["file"]).read_text())
        assert {key: result[key] for key in file} == file
    assert [(r["file"], r["paper"]) for r in shown["results"]] == [
        ("recognition.json", None),  # not the official clips
        ("retrieval.json", None),
        ("retrieval_random.json", None),
    ]
    (curve,) = shown["curves"]
    assert curve["points"] == [[10 * step, loss] for step, loss in enumerate(LOSSES)]
    by_name = {c["name"]: np.array(c["matrix"]) for c in shown["confusions"]}
    for name, key in (("recognition", "top1"), ("retrieval", "accuracy")):
        right = 100 * by_name[name].trace() / by_name[name].sum()
        (result,) = (r for r in shown["results"] if r["file"] == f"{name}.json")
        assert right == pytest.approx(result[key])
    assert shown["tsne"] == json.loads((run / "tsne.json").read_text())
    assert shown["run"]["settings"]["hidden_size"] == 16 and not shown["missing"]


def test_the_gallery_shows_what_was_retrieved(run, data_root):
    shown, table = embedded(run)["gallery"], retrieved.read(run / "retrieval_neighbours.csv")
    store = open_store(data_root, "ntu60")
    accuracy = json.loads((run / "retrieval.json").read_text())["accuracy"]
    assert 100 * shown["right"] / shown["total"] == pytest.approx(accuracy)
    assert len(shown["queries"]) == 10
    for query in shown["queries"]:
        at = table.queries.index(query["name"])
        assert [f["name"] for f in query["found"]] == table.found[at]
        assert [f["similarity"] for f in query["found"]] == pytest.approx(
            table.similarity[at], abs=1e-4
        )
    for name, clip in shown["clips"].items():
        row = store.names.index(name)
        frames = store.joints[store.start[row] : store.start[row] + store.frames[row]]
        assert clip["class"] == store.label[row]
        assert clip["seconds"] == pytest.approx(len(frames) / 30, abs=0.01)
        packed = np.frombuffer(base64.b64decode(clip["data"]), "<i2")
        packed = packed.reshape(clip["frames"], clip["bodies"], 25, 3) / 1000
        assert np.allclose(packed[0], frames[0, : clip["bodies"]], atol=6e-4)
        assert np.allclose(packed[-1], frames[-1, : clip["bodies"]], atol=6e-4)
        assert clip["bodies"] == 2 or not frames[:, 1].any()
    assert shown["names"][:2] == list(ACTION_NAMES[:2])


def test_queries_of_all_classes_right_and_wrong_are_chosen():
    classes = np.repeat([0, 1, 2], 100)
    right = np.arange(300) % 100 > 4  # five wrong ones a class
    chosen = gallery.choose(classes, right, 12, seed=0)
    kinds = [(int(classes[i]), bool(right[i])) for i in chosen]
    assert kinds == [(c, r) for c in range(3) for r in (True, True, False, False)]
    assert chosen == gallery.choose(classes, right, 12, seed=0)
    assert len(gallery.choose(classes[:7], right[:7], 12, seed=0)) == 7


def test_a_run_without_results_says_how_to_make_them(tmp_path, data_root):
    folder = write_run(tmp_path / "bare", data_root)
    done = call(report.main, folder)
    assert done.code == 0, done.err
    shown = embedded(folder)
    assert set(shown["missing"]) == {
        *("curves", "recognition result", "retrieval result"),
        *("confusion matrix", "clusters", "gallery"),
    }
    for what, script in (("gallery", "action_retrieval.py"), ("clusters", "tools.tsne")):
        assert script in shown["missing"][what] and str(folder) in shown["missing"][what]
        assert f"no {what}: {shown['missing'][what]}" in done.out


def test_a_store_that_is_gone_leaves_out_the_gallery_only(run, tmp_path):
    done = call(report.main, run, "--data-root", tmp_path, "--out", tmp_path / "report.html")
    assert done.code == 0
    shown = embedded(tmp_path)
    assert shown["gallery"] is None and list(shown["missing"]) == ["gallery"]
    assert str(tmp_path) in shown["missing"]["gallery"] and len(shown["results"]) == 3


def test_what_cannot_be_shown_is_said_in_one_line(tmp_path):
    done = call(report.main, tmp_path / "no_such_run")
    assert done.code == 1 and "no run" in done.err and done.err.count("\n") == 1
    (tmp_path / "recognition.json").write_text("{")
    done = call(report.main, tmp_path)
    assert done.code == 1 and "recognition.json is not JSON" in done.err
    assert not (tmp_path / "report.html").exists()


def test_no_data_can_leave_its_place():
    hostile = {"name": "</script><script>alert(1)</script>{{script}}", "missing": {}}
    text = report.page(hostile)
    assert "alert(1)</script>" not in text and text.count("</script>") == 2
    (data,) = re.findall(r'id="data">(.*?)</script>', text, re.S)
    assert json.loads(data) == hostile


def test_commands_are_short_for_runs_in_their_usual_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints" / "mine").mkdir(parents=True)
    folder = collect.find_run("mine")
    assert collect.commands(folder)["retrieval"] == "./script_action_retrieval.sh mine"
    with pytest.raises(UserError, match="other"):
        collect.find_run("other")


def test_the_papers_figures_are_held_against_the_same_evaluation_only():
    result = {"task": "recognition", "encoder": "pretrained", "dataset": "ntu120"}
    result |= {"protocol": "cross_setup", "modalities": ["joint", "bone", "motion"]}
    result |= {"training_clips": 54468, "test_clips": 59477, "official_clips": [54468, 59477]}
    assert paper.figure(result) == 76.3
    assert paper.figure(result | {"modalities": ["joint"]}) == 74.3
    assert paper.figure(result | {"late_fusion": True}) == 77.2
    assert paper.figure(result | {"task": "retrieval"}) == 62.2
    for other in ({"test_clips": 59_476}, {"training_clips": 5}, {"official_clips": None}):
        assert paper.figure(result | other) is None
    for other in ({"encoder": "random"}, {"finetune": True}, {"label_fraction": 0.1}):
        assert paper.figure(result | other) is None
    trained = {"method": "umurl", "pre_dataset": "ntu120", "protocol": "cross_setup"}
    assert paper.figure(result | {"pretraining": trained}) == 76.3
    for other in ({"method": "baseline"}, {"pre_dataset": "ntu60"}, {"protocol": "cross_subject"}):
        assert paper.figure(result | {"pretraining": trained | other}) is None
    assert paper.figure(result | {"task": "retrieval", "neighbours": 5}) is None
    for other in ({"modalities": ["bone"]}, {"dataset": "pkummd1"}):
        assert paper.figure(result | other) is None
    for name in ("recognition", "retrieval"):
        official = {(d, p) for d, data in DATASETS.items() for p in data.splits}
        assert official <= set(paper.FIGURES[name])


# ---- in a browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not chromium.find():
        pytest.skip(chromium.WHY_NOT)
    with ExitStack() as stack:
        try:
            profile = tmp_path_factory.mktemp("browser") / "profile"
            page = stack.enter_context(chromium.page(profile))
        except (OSError, RuntimeError) as error:  # some are there but cannot be started
            pytest.skip(f"{chromium.find()} does not start here: {error}")
        yield page


def opened(browser, folder, **preferences):
    browser.look(**{"width": 1200, "height": 900} | preferences)
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(folder / "report.html")
    return browser


# What the first clips in sight look like.
PIXELS = "[...document.querySelectorAll('.clip canvas')].slice(0, 6).map(c => c.toDataURL()).join()"
FILLED = """[...document.querySelectorAll('.clip canvas')].slice(0, 6).map((c) =>
    c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(Boolean))"""
SHOW = "document.querySelector('.query').scrollIntoView({behavior: 'instant'})"


def test_in_a_browser_it_shows_the_figures_and_asks_for_nothing(run, browser):
    page = opened(browser, run)
    text = page.read("document.getElementById('main').innerText")
    recognition = json.loads((run / "recognition.json").read_text())
    retrieval = json.loads((run / "retrieval.json").read_text())
    for value in (*(recognition[k] for k in ("top1", "best_top1", "top5")), retrieval["map"]):
        assert f"{value:.2f}" in text
    assert "84.2" not in text and "72.0" not in text  # the paper's, which are of other clips
    assert f"{LOSSES[-1]:.1f}" in page.read("document.querySelector('.chart output').textContent")
    for name in json.loads((run / "tsne.json").read_text())["classes"]:
        assert name in text
    table = confusion.read(run / "recognition_confusion.csv")
    page.read("document.querySelector('.matrix canvas').focus()")
    page.key("ArrowDown")
    clips = table.matrix[0].tolist()
    assert page.read("document.querySelector('.matrix output').textContent").startswith(
        f"{table.names[0]} taken for {table.names[0]}: {clips[0]} of {sum(clips)} clips"
    )
    assert [url for url in page.requests if not url.startswith(("file:", "data:"))] == []
    assert page.complaints == []


def test_in_a_browser_the_skeletons_move_until_they_are_stopped(run, browser):
    # A picture's own time may lie well before the moment in which it was asked for.
    late = "const ask = requestAnimationFrame; requestAnimationFrame = f => ask(t => f(t - 200))"
    script = browser.command("Page.addScriptToEvaluateOnNewDocument", source=late)
    page = opened(browser, run)
    page.command("Page.removeScriptToEvaluateOnNewDocument", **script)
    page.read(SHOW)
    page.until(f"(window.before ??= {PIXELS}) !== {PIXELS}")
    page.until(f"{FILLED}.every(Boolean)")
    assert page.read("document.getElementById('play').textContent") == "Pause"
    page.read("document.getElementById('play').click()")
    before = page.read(PIXELS)
    time.sleep(0.4)
    assert page.read(PIXELS) == before
    page.read("turn.value = 90, turn.dispatchEvent(new Event('input'))")
    turned = page.read(PIXELS)
    assert turned != before
    page.read("moment.value = 100, moment.dispatchEvent(new Event('input'))")
    assert page.read(PIXELS) != turned
    assert page.complaints == []


def test_in_a_browser_nothing_moves_for_those_who_want_it_so(run, browser):
    page = opened(browser, run, still=True)
    page.read(SHOW)
    page.until(f"{PIXELS} !== [...Array(6)].map(() => 'data:,').join()")
    time.sleep(0.3)
    before = page.read(PIXELS)
    time.sleep(0.4)
    assert page.read(PIXELS) == before
    assert page.read("document.getElementById('play').textContent") == "Play"


def test_in_a_browser_clips_are_seen_as_in_other_pictures(run, browser):
    page = opened(browser, run, still=True)
    view = draw.View(0, 1.0, torch.zeros(2), torch.zeros(3, 0, 0))
    for point in ([0.3, 0.0, 0.0], [0.0, 0.5, 0.0], [0.1, -0.2, 0.4]):
        angles = "[report.gallery.yaw, report.gallery.pitch].map((a) => a * Math.PI / 180)"
        across, up = page.read(f"project({point}, {angles})")
        x, y = draw.project(torch.tensor(point), view).tolist()
        assert (across, -up) == pytest.approx((x, y), abs=1e-6)
    # What is unpacked in the page is the store's clip, frame by frame.
    (name, clip), *_ = embedded(run)["gallery"]["clips"].items()
    packed = np.frombuffer(base64.b64decode(clip["data"]), "<i2") / 1000
    packed = packed.reshape(clip["frames"], clip["bodies"], 25, 3)
    unpacked = page.read(f"unpack(report.gallery.clips['{name}']).frames")
    assert np.array(unpacked[3][0]) == pytest.approx(packed[3, 0])


def test_in_a_browser_the_filter_filters(run, browser):
    page = opened(browser, run, still=True)
    shown = embedded(run)["gallery"]
    class_of = {name: clip["class"] for name, clip in shown["clips"].items()}
    visible = "[...document.querySelectorAll('.query')].filter(c => c.checkVisibility())"
    names = f"{visible}.map(c => c.querySelector('small').textContent)"
    queries = {q["name"]: class_of[q["found"][0]["name"]] for q in shown["queries"]}
    assert page.read(names) == list(queries)
    chosen = class_of[shown["queries"][0]["name"]]

    def choose(which, value):
        element = f"document.getElementById('{which}')"
        page.read(f"{element}.value = '{value}', {element}.dispatchEvent(new Event('change'))")
        return page.read(names)

    of_class = [name for name in queries if class_of[name] == chosen]
    assert choose("by-class", chosen) == of_class and 0 < len(of_class) < len(queries)
    count = page.read("document.querySelector('.controls output').textContent")
    assert count == f"{len(of_class)} of {len(queries)} queries shown"
    choose("by-class", "")
    for verdict, wanted in (("right", True), ("wrong", False)):
        expected = [name for name in queries if (class_of[name] == queries[name]) == wanted]
        assert choose("by-verdict", verdict) == expected
    assert choose("by-verdict", "") == list(queries)


def test_in_a_browser_the_keyboard_is_enough(run, browser):
    page = opened(browser, run)
    page.read("document.querySelector('.query').focus()")
    page.key("ArrowDown")
    focused = "[...document.querySelectorAll('.query')].indexOf(document.activeElement)"
    assert page.read(focused) == 1
    page.key("ArrowUp")
    assert page.read(focused) == 0
    page.key(" ")
    assert page.read("document.getElementById('play').textContent") == "Play"
    page.read("document.querySelector('.chart svg').focus()")
    page.key("Home")
    assert page.read("document.querySelector('.chart output').textContent") == "step 0: 30"
    page.read("document.querySelector('.legend button').focus()")
    page.key("Enter")
    assert page.read("document.querySelectorAll('.panels g.faint').length") == 2


def test_in_a_browser_it_fits_a_phone_and_the_dark(run, browser):
    page = opened(browser, run, width=360, height=740)
    assert page.read("document.documentElement.scrollWidth") <= 360
    light = page.read("getComputedStyle(document.body).backgroundColor")
    page.read(SHOW)
    page.read("document.getElementById('play').click()")
    pixels = page.read(PIXELS)
    page.look(width=360, height=740, dark=True)
    assert page.read("getComputedStyle(document.body).backgroundColor") != light
    page.until(f"{json.dumps(pixels)} !== {PIXELS}")  # the canvases are painted anew
    assert page.complaints == []


def test_in_a_browser_a_bare_run_says_what_to_do(tmp_path, data_root, browser):
    folder = write_run(tmp_path / "bare", data_root)
    assert call(report.main, folder).code == 0
    page = opened(browser, folder)
    assert page.read("scrollY") == 0
    page.open(folder / "report.html", "settings")
    page.until("scrollY > 0")  # a link to a section leads there
    text = page.read("document.getElementById('main').innerText")
    for script in ("pretrain.py", "action_classification.py", "action_retrieval.py", "tools.tsne"):
        assert f"{script} --checkpoint" in text
    assert page.complaints == []
