"""The report in a real browser."""

import base64
import json
import time

import numpy as np
import pytest
import torch
from torch.utils.tensorboard import SummaryWriter

from tests.runs import call
from tests.tiny_run import write_run
from tests.tools.report.pages import LOSSES, embedded
from tools.drawing import draw
from tools.evaluation import confusion
from tools.report import __main__ as report


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


def test_it_shows_the_figures_and_asks_for_nothing(run, browser):
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
        f"{table.names[0]} predicted as {table.names[0]}: {clips[0]} of {sum(clips)} clips"
    )
    assert [url for url in page.requests if not url.startswith(("file:", "data:"))] == []
    assert page.complaints == []


def test_the_skeletons_move_until_they_are_stopped(run, browser):
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


def test_nothing_moves_for_those_who_want_it_so(run, browser):
    page = opened(browser, run, still=True)
    page.read(SHOW)
    page.until(f"{PIXELS} !== [...Array(6)].map(() => 'data:,').join()")
    time.sleep(0.3)
    before = page.read(PIXELS)
    time.sleep(0.4)
    assert page.read(PIXELS) == before
    assert page.read("document.getElementById('play').textContent") == "Play"


def test_clips_are_seen_as_in_other_pictures(run, browser):
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
    unpacked = page.read(
        f"unpack(report.gallery.clips['{name}'], 25, report.gallery.origin).frames"
    )
    assert np.array(unpacked[3][0]) == pytest.approx(packed[3, 0])


def test_the_filter_filters(run, browser):
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


def test_the_keyboard_is_enough(run, browser):
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


def test_it_fits_a_phone_and_the_dark(run, browser):
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


def test_a_bare_run_says_what_to_do(tmp_path, data_root, browser):
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


@pytest.fixture(scope="module")
def comparison(run, tmp_path_factory, data_root):
    """The page of two runs, one of which has nothing but its checkpoint and a curve."""
    folder = tmp_path_factory.mktemp("compared")
    other = write_run(folder / "other", data_root, seed=1, hidden_size=32)
    with SummaryWriter(other) as writer:
        for step, loss in enumerate(LOSSES):
            writer.add_scalar("loss/total", loss + 1, 10 * step)
    assert call(report.main, run, other, "--out", folder / "report.html").code == 0
    return folder


def test_several_runs_stand_side_by_side(run, comparison, browser):
    page = opened(browser, comparison)
    overview = page.read("document.getElementById('overview').innerText")
    assert "2 runs compared" in overview and "hidden size" in overview
    recognition = json.loads((run / "recognition.json").read_text())
    cells = "[...document.querySelector('#results tbody tr').children].map(c => c.textContent)"
    assert page.read(cells)[3:5] == [f"{recognition['top1']:.2f}", "–"]
    results = page.read("document.getElementById('results').innerText")
    assert "retrieval_random" not in results and "random, not trained" in results
    keys = "[...document.querySelectorAll('#curves .keys span')].map(k => k.textContent)"
    assert {run.name, "other"} <= set(page.read(keys))
    lines = "[...document.querySelectorAll('#curves .curve')].map(line => line.getAttribute('d'))"
    assert len(set(page.read(lines))) == 2
    assert page.complaints == []


def test_the_overview_fits_one_screen(run, browser):
    page = opened(browser, run)
    assert page.read("document.getElementById('overview').getBoundingClientRect().bottom") < 900
    text = page.read("document.getElementById('overview').innerText")
    top1 = json.loads((run / "recognition.json").read_text())["top1"]
    for said in ("NTU RGB+D 60", "Device", "torch"):
        assert said in text
    bars = "[...document.querySelectorAll('#overview .bars .row')].map(row => row.innerText)"
    retrieval = (json.loads((run / f"retrieval{of}.json").read_text()) for of in ("", "_random"))
    figures = [top1, *(result["accuracy"] for result in retrieval)]
    names = ["this run", "this run", "random encoder"]
    shown = [" ".join(row.split()) for row in page.read(bars)]
    assert shown == [f"{n} {f:.1f} %" for n, f in zip(names, figures, strict=True)]


def test_all_clips_are_on_paper(run, browser):
    page = opened(browser, run, dark=True)
    every = """[...document.querySelectorAll('.clip canvas')].map((c) => {
        const { width, height } = c;
        return c.toDataURL() !== Object.assign(c.cloneNode(), { width, height }).toDataURL();
    })"""
    assert not page.read(f"{every}.every(Boolean)"), "all are in sight, so this shows nothing"
    page.read(
        """addEventListener('beforeprint', () => {
            window.ink = getComputedStyle(document.documentElement).getPropertyValue('--ink');
        })"""
    )
    printed = base64.b64decode(page.command("Page.printToPDF")["data"])
    assert printed.startswith(b"%PDF")
    assert page.read(f"{every}.every(Boolean)")
    light = page.read("window.ink")
    dark = page.read("getComputedStyle(document.documentElement).getPropertyValue('--ink')")
    assert light != dark, "paper is light whatever the screen is"
    assert page.complaints == []


# The contrast (WCAG 2) of each text with what lies behind it, where it is less than 4.5.
CONTRASTS = """(() => {
    const parse = (text) => {
        const numbers = text.match(/[\\d.]+/g).map(Number);
        return [numbers.slice(0, 3), numbers[3] ?? 1];
    };
    const luminance = (rgb) => rgb.map((v) => v / 255)
        .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const found = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const element = walk.currentNode.parentElement;
        if (!walk.currentNode.textContent.trim() || !element.checkVisibility()) continue;
        let opacity = 1, behind = null;
        for (let e = element; e; e = e.parentElement) {
            const style = getComputedStyle(e), [rgb, alpha] = parse(style.backgroundColor);
            opacity *= Number(style.opacity);
            if (!behind && alpha === 1) behind = rgb;
        }
        const style = getComputedStyle(element);
        const [text] = parse(element instanceof SVGElement ? style.fill : style.color);
        const shown = text.map((v, i) => opacity * v + (1 - opacity) * behind[i]);
        const [low, high] = [luminance(shown), luminance(behind)].sort((a, b) => a - b);
        const contrast = (high + 0.05) / (low + 0.05);
        if (contrast < 4.5) found.push(`${walk.currentNode.textContent}: ${contrast.toFixed(2)}`);
    }
    return found;
})()"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_can_be_read(run, comparison, browser, dark):
    for folder in (run, comparison):
        page = opened(browser, folder, dark=dark)
        assert page.read(CONTRASTS) == []
