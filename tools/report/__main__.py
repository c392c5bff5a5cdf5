"""A report of a run: one HTML page that needs nothing else.

python -m tools.report ntu60_xsub
"""

import datetime
import json
from pathlib import Path

from data_gen.preparing.files import whole_file
from feeder.mixture import by_data_set
from feeder.store import StoreError, open_store
from tools import cli
from tools.evaluation import paper, saved
from tools.report import collect, gallery

PARTS = Path(__file__).parent


def main() -> None:
    parser = cli.Parser(__doc__.splitlines()[0])
    parser.add_argument("run", metavar="TEST_NAME", help="name of a run, or its folder")
    parser.add_argument("--data-root", help="folder that holds the stores (the checkpoint's)")
    parser.add_argument("--queries", type=cli.whole_number(1), default=48,
                        help="how many queries the gallery shows")  # fmt: skip
    parser.add_argument("--out", type=Path, help="the page (report.html in the run's folder)")
    args = parser.parse_args()
    folder = collect.find_run(args.run)
    report = build(folder, args.data_root, args.queries)
    out = args.out or folder / "report.html"
    with whole_file(out) as part:
        part.write_text(page(report), encoding="utf-8")
    for what, why in report["missing"].items():
        print(f"no {what}: {why}")
    print(f"written to {out}")


def build(folder: Path, data_root: str | None = None, queries: int = 48) -> dict:
    """All that the page shows of a run; `missing` tells what is not there and how to make it."""
    commands = collect.commands(folder)
    report = {
        "name": folder.resolve().name,
        "made": f"{datetime.date.today():%d %B %Y}",
        "run": collect.run_facts(folder),
        "curves": collect.curves(folder),
        "results": saved.results(folder)[0],
        "source": paper.SOURCE,
        "confusions": collect.confusions(folder),
        "tsne": collect.clusters(folder),
        "gallery": None,
        "missing": {},
    }
    missing = report["missing"]
    if not report["run"]:
        missing["settings"] = f"run {commands['pretraining']}"
    if not report["curves"]:
        missing["curves"] = f"run {commands['pretraining']}"
    for task in ("recognition", "retrieval"):
        if not any(result["task"] == task for result in report["results"]):
            missing[f"{task} result"] = f"run {commands[task]}"
    if not report["confusions"]:
        missing["confusion matrix"] = f"run {commands['recognition']}"
    if not report["tsne"]:
        missing["clusters"] = f"run {commands['tsne']}"
    try:
        report["gallery"] = find_gallery(folder, report, data_root, queries)
    except (StoreError, cli.UserError) as error:
        missing["gallery"] = str(error)
    if not report["gallery"]:
        missing.setdefault("gallery", f"run {commands['retrieval']}")
    return report


def find_gallery(folder: Path, report: dict, data_root: str | None, queries: int) -> dict | None:
    """The gallery of a run's retrieval; None where it has none. Raises StoreError, UserError."""
    table = folder / "retrieval_neighbours.csv"
    settings = report["run"] and report["run"]["settings"]
    if not table.is_file() or not settings:
        return None
    first = next(iter(by_data_set(settings["pre_dataset"], settings["protocol"])))
    store = open_store(data_root or settings["data_root"], first)
    return gallery.build(table, store, queries)


def page(report: dict) -> str:
    """The page: the template with style, scripts and data put in."""
    text = (PARTS / "page.html").read_text(encoding="utf-8")
    # No data can end the script element that it stands in, or begin another.
    data = json.dumps(report, allow_nan=False).replace("<", "\\u003c")
    scripts = ("skeleton.js", "charts.js", "page.js")
    script = "\n".join((PARTS / name).read_text(encoding="utf-8") for name in scripts)
    parts = {"style": (PARTS / "page.css").read_text(encoding="utf-8"), "script": script}
    for name, part in (parts | {"data": data}).items():
        text = text.replace(f"{{{{{name}}}}}", part, 1)
    return text


if __name__ == "__main__":
    cli.run(main)
