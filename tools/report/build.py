"""Build the page of a report: collect its content as plain values, and fill the template."""

import datetime
import json
import math
from pathlib import Path
from typing import Any

from feeder.mixture import by_data_set
from feeder.store import StoreError, open_store
from tools.cli import UserError
from tools.evaluation import paper
from tools.report import collect, gallery, words

PARTS = Path(__file__).parent
SCRIPTS = ("skeleton.js", "charts.js", "matrix.js", "overview.js", "gallery.js", "page.js")
LONGEST_NAME = 100  # characters of the runs' names in a file's name


def build(folders: list[Path], data_root: str | None = None, queries: int = 48) -> dict[str, Any]:
    """Collect the content of the page.

    folders: the runs.
    data_root: folder of the stores; None: the folder that each checkpoint names.
    queries: number of queries in the gallery, which only a page of one run has.

    Each run's entry `missing` tells what is missing, and the command that makes it.
    """
    names = words.short_names(folders)
    runs = [run(folder, name, data_root) for folder, name in zip(folders, names, strict=True)]
    shown = None
    if len(runs) == 1:
        try:
            shown = find_gallery(folders[0], runs[0], data_root, queries)
            why = f"run {collect.commands(folders[0])['retrieval']}"
        except (StoreError, UserError) as error:
            why = str(error)
        if not shown:
            runs[0]["missing"]["gallery"] = why
    return {
        "made": f"{datetime.date.today():%d %B %Y}",
        "source": paper.SOURCE,
        "tags": list(collect.CURVES),
        "runs": runs,
        "differences": words.differences([one["facts"] for one in runs]),
        "gallery": shown,
    }


def run(folder: Path, name: str, data_root: str | None = None) -> dict[str, Any]:
    """The content of the page for one run, without its gallery."""
    facts = collect.facts(folder)
    results, others = collect.results(folder)
    found = {
        "facts": facts,
        "results": results,
        "curves": collect.curves(folder),
        "confusions": collect.confusions(folder),
        "tsne": collect.clusters(folder),
    }
    title = words.data_title(facts, results, data_root)
    return {
        "name": name,
        "about": words.about(facts, title),
        "overview": words.overview(facts, title, collect.seconds(folder)),
        **found,
        "missing": missing(found, collect.commands(folder))
        | {path.name: "it is no whole result of this code" for path in others},
    }


def missing(found: dict[str, Any], commands: dict[str, str]) -> dict[str, str]:
    """What the page of a run lacks, and the commands that make it.

    found: the content, by name.
    commands: as `collect.commands` returns them.
    """
    lacks = {}
    if not found["facts"]:
        lacks["settings"] = commands["pretraining"]
    if not found["curves"]:
        lacks["curves"] = commands["pretraining"]
    for task in ("recognition", "retrieval"):
        encoders = {result["encoder"] for result in found["results"] if result["task"] == task}
        if not encoders:
            lacks[f"{task} result"] = commands[task]
        elif "random" not in encoders:
            lacks[f"{task} of a random encoder"] = f"{commands[task]} --pretrained random"
    if not found["confusions"]:
        lacks["confusion matrix"] = commands["recognition"]
    if not found["tsne"]:
        lacks["clusters"] = commands["tsne"]
    return {what: f"run {command}" for what, command in lacks.items()}


def find_gallery(
    folder: Path, found: dict[str, Any], data_root: str | None, queries: int
) -> dict[str, Any] | None:
    """The gallery of a run's retrieval.

    None where there is none. Raises StoreError or UserError.
    """
    table = folder / "retrieval_neighbours.csv"
    if not table.is_file() or not found["facts"]:
        return None
    settings = found["facts"]["settings"]
    searched = [r["dataset"] for r in found["results"] if r["name"] == "retrieval"]
    trained = by_data_set(settings["pre_dataset"], settings["protocol"])
    store = open_store(data_root or settings["data_root"], next(iter([*searched, *trained])))
    return gallery.build(table, store, queries)


def usual_path(folders: list[Path]) -> Path:
    """The path where the page is written by default."""
    if len(folders) == 1:
        return folders[0] / "report.html"
    names = "_".join(folder.resolve().name for folder in folders)
    return folders[0].parent / f"report_{names[:LONGEST_NAME]}.html"


def page(report: dict[str, Any]) -> str:
    """The HTML page: the template with style, scripts and data."""
    text = (PARTS / "page.html").read_text(encoding="utf-8")
    # Escape <, so that no text in the data can end the script element around it.
    data = json.dumps(finite(report), allow_nan=False).replace("<", "\\u003c")
    script = "\n".join((PARTS / name).read_text(encoding="utf-8") for name in SCRIPTS)
    parts = {"style": (PARTS / "page.css").read_text(encoding="utf-8"), "script": script}
    for name, part in (parts | {"data": data}).items():
        text = text.replace(f"{{{{{name}}}}}", part, 1)
    return text


def finite(tree: Any) -> Any:
    """Plain values with None for each number that is not finite, since JSON has no such numbers."""
    if isinstance(tree, dict):
        return {key: finite(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [finite(value) for value in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree
