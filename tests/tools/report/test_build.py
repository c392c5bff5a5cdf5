"""The report: what its page shows is what the run's files say."""

import base64
import json
import re
from unittest import mock

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from feeder.datasets.ntu import ACTION_NAMES
from feeder.store import open_store
from tests.runs import call
from tests.tiny_run import write_run
from tests.tools.report.pages import LOSSES, embedded
from tools.cli import UserError
from tools.evaluation import retrieved_clips
from tools.evaluation.clusters import palette
from tools.formats.checkpoint import code_facts
from tools.report import __main__ as report
from tools.report import build, collect, gallery, words
from tools.training.settings import Settings


def test_its_figures_are_those_of_the_files(run):
    shown = embedded(run)
    (one,) = shown["runs"]
    for result in one["results"]:
        file = json.loads((run / result["file"]).read_text())
        assert {key: result[key] for key in file} == file
        assert result["title"] == "NTU RGB+D 60" and result["input"] == "joint + bone + motion"
        assert result["took"] == words.duration(file["seconds"])
    assert [(r["file"], r["paper"]) for r in one["results"]] == [
        ("recognition.json", None),  # not the official clips
        ("retrieval.json", None),
        ("retrieval_random.json", None),
    ]
    (curve,) = one["curves"]
    assert curve["points"] == [[10 * step, loss] for step, loss in enumerate(LOSSES)]
    by_name = {c["name"]: np.array(c["matrix"]) for c in one["confusions"]}
    for name, key in (("recognition", "top1"), ("retrieval", "accuracy")):
        right = 100 * by_name[name].trace() / by_name[name].sum()
        (result,) = (r for r in one["results"] if r["file"] == f"{name}.json")
        assert right == pytest.approx(result[key])
    found = json.loads((run / "tsne.json").read_text())
    assert one["tsne"] == found | {"colors": palette(3)}
    assert one["facts"]["settings"]["hidden_size"] == 16 and not shown["differences"]
    assert list(one["missing"]) == ["recognition of a random encoder"]


def test_its_overview_says_what_was_run_with_what_and_how_long(run):
    (one,) = embedded(run)["runs"]
    said, code = one["overview"], code_facts()
    assert one["about"] == "UmURL on NTU RGB+D 60, cross subject"
    assert (
        said["Epochs"] == "3 of 3" and said["Encoder"] == "transformer, width 16, 1 layer, 2 heads"
    )
    assert said["Device"] == code["device"] and code["torch"] in said["torch, Python"]
    assert code["umurl"] in said["Code"] and (code["commit"] or "")[:12] in said["Code"]
    assert said["Pre-training took"].endswith(" s")


def test_a_run_took_as_long_as_its_event_files_cover(tmp_path):
    def events(start: float, *seconds: float) -> None:
        with mock.patch("time.time", return_value=start):
            writer = SummaryWriter(tmp_path, filename_suffix=str(start))
        for second in seconds:
            writer.add_scalar("loss/total", 1.0, 1, walltime=start + second)
        writer.close()

    events(1e9, 0, 100, 250)
    events(2e9, 0, 50)  # resumed years later
    assert collect.seconds(tmp_path) == pytest.approx(300, abs=1)


def test_the_gallery_shows_what_was_retrieved(run, data_root):
    shown, table = embedded(run)["gallery"], retrieved_clips.read(run / "retrieval_neighbours.csv")
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
        frames = store.joints[store.start[row] : store.start[row] + store.length[row]]
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
    (shown,) = embedded(folder)["runs"]
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
    (one,) = shown["runs"]
    assert shown["gallery"] is None and "gallery" in one["missing"]
    assert str(tmp_path) in one["missing"]["gallery"] and len(one["results"]) == 3


def test_what_cannot_be_shown_is_said_in_one_line(tmp_path):
    done = call(report.main, tmp_path / "no_such_run")
    assert done.code == 1 and "no run" in done.err and done.err.count("\n") == 1
    (tmp_path / "recognition.json").write_text("{")
    done = call(report.main, tmp_path)
    assert done.code == 1 and "recognition.json is not JSON" in done.err
    assert not (tmp_path / "report.html").exists()


def test_no_data_can_leave_its_place():
    hostile = {"name": "</script><script>alert(1)</script>{{script}}", "missing": {}}
    text = build.page(hostile)
    assert "alert(1)</script>" not in text and text.count("</script>") == 2
    (data,) = re.findall(r'id="data">(.*?)</script>', text, re.S)
    assert json.loads(data) == hostile


def test_commands_are_short_for_runs_in_their_usual_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints" / "mine").mkdir(parents=True)
    folder = collect.find_run("mine")
    monkeypatch.setattr("data_gen.preparing.commands.ROOT", tmp_path)
    monkeypatch.setattr(collect, "ROOT", tmp_path)
    assert collect.commands(folder)["retrieval"].endswith("./script_action_retrieval.sh mine")
    assert collect.commands(folder)["pretraining"].endswith("./script_pretrain.sh mine")
    with pytest.raises(UserError, match="other"):
        collect.find_run("other")


def test_numbers_that_are_not_finite_leave_a_gap(run, tmp_path):
    result = json.loads((run / "retrieval.json").read_text())
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "retrieval.json").write_text(json.dumps(result | {"map": float("nan")}))
    assert call(report.main, folder).code == 0
    ((one,),) = (r["results"] for r in embedded(folder)["runs"])
    assert one["map"] is None and one["accuracy"] == result["accuracy"]


def test_a_resumed_run_without_a_point_yet_has_no_curve(tmp_path, data_root):
    folder = write_run(tmp_path / "run", data_root)
    with mock.patch("time.time", return_value=1e9), SummaryWriter(folder) as writer:
        writer.add_scalar("loss/total", 1.0, 10)
    with SummaryWriter(folder, purge_step=1) as writer:  # which TensorBoard forgets
        writer.add_scalar("other", 1.0, 2)
    assert collect.curves(folder) == []
    assert call(report.main, folder).code == 0


def test_a_foreign_file_is_named(tmp_path, data_root):
    folder = write_run(tmp_path / "run", data_root)
    (folder / "recognition.json").write_text('{"task": "recognition"}')
    done = call(report.main, folder)
    assert done.code == 0 and "no recognition.json: it is no whole result" in done.out
    (folder / "tsne.json").write_text('{"classes": 3}')
    done = call(report.main, folder)
    assert done.code == 1 and "tsne.json" in done.err and done.err.count("\n") == 1


# ---- several runs


def test_several_runs_are_held_against_each_other(run, tmp_path, data_root):
    other = write_run(tmp_path / "other", data_root, seed=1, hidden_size=32)
    out = tmp_path / "both.html"
    done = call(report.main, run, other, "--out", out)
    assert done.code == 0 and f"written to {out}" in done.out, done.err
    shown = embedded(tmp_path, out.name)
    assert [one["name"] for one in shown["runs"]] == [run.name, "other"]
    assert shown["differences"] == [
        {"name": "hidden_size", "values": ["16", "32"]},
        {"name": "seed", "values": ["0", "1"]},
    ]
    assert len(shown["runs"][0]["results"]) == 3 and not shown["runs"][1]["results"]
    assert "recognition result" in shown["runs"][1]["missing"] and not shown["gallery"]
    assert build.usual_path([run, other]) == run.parent / f"report_{run.name}_other.html"


def test_only_settings_of_the_experiment_differ():
    one = {"lr": 0.1, "schedule": [3], "checkpoint_path": "a", "data_root": "x"}
    other = one | {"lr": 0.2, "checkpoint_path": "b"}
    runs = [{"settings": one, "data": {"clips": 5}}, {"settings": other, "data": {"clips": 6}}]
    assert words.differences(runs) == [
        {"name": "lr", "values": ["0.1", "0.2"]},
        {"name": "clips", "values": ["5", "6"]},
    ]
    assert words.differences(runs[:1]) == []
    assert words.differences([runs[0], None]) == []  # of which nothing is known
    older = {"settings": {k: v for k, v in one.items() if k != "schedule"}, "data": {"clips": 5}}
    usual = " ".join(map(str, Settings().schedule))
    assert words.differences([runs[0], older]) == [{"name": "schedule", "values": ["3", usual]}]


def test_data_is_named_by_its_title(data_root):
    settings = {"pre_dataset": "ntu60/mine", "protocol": "cross_view", "data_root": str(data_root)}
    facts = {"settings": settings}
    results = [{"dataset": "mine", "title": "Recordings of ours"}]
    told = words.data_title(facts, results, None)
    assert told == "NTU RGB+D 60, cross view + Recordings of ours, cross view"
    assert words.data_title(facts, [], None).endswith("mine, cross view")  # no such store here


def test_runs_of_one_name_are_told_apart(tmp_path):
    folders = [tmp_path / "a" / "run", tmp_path / "b" / "run"]
    assert words.short_names(folders) == ["a/run", "b/run"]
    assert words.short_names(folders[:1]) == ["run"]
    assert words.short_names(folders[:1] * 2) == ["run", "run"]


def test_a_time_in_words():
    told = [words.duration(seconds) for seconds in (0.4, 59.4, 61, 3599, 3600, 1e5)]
    assert told == ["0.4 s", "59 s", "1 min 1 s", "59 min 59 s", "1 h 0 min", "27 h 46 min"]
