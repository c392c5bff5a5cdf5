"""Write a report of one run, or of several side by side, as one HTML page with everything inside.

python -m tools.report ntu60_xsub
python -m tools.report ntu60_xsub baseline half_rate --out comparison.html
"""

import argparse
from pathlib import Path

import jinja2

from common import UserError, atomic, run
from tools.evaluation.results import PAPER
from tools.report import content

PARTS = Path(__file__).parent


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tools.report", allow_abbrev=False)
    parser.description = __doc__.splitlines()[0]
    add = parser.add_argument
    add("runs", nargs="+", metavar="TEST_NAME", help="run or its folder; several are compared")
    add("--data-root", help="folder of the stores (the checkpoint's)")
    add("--queries", type=int, metavar="N", help="queries in the gallery of a single run (48)")
    add("--out", type=Path, help="file (report.html in the run's folder; report_A_B.html beside)")
    args = parser.parse_args(argv)
    if len(args.runs) > 1 and (args.queries is not None or args.data_root):
        parser.error("--queries, --data-root: only the page of a single run has a gallery")
    if args.queries is not None and args.queries < 1:
        parser.error("--queries must be at least 1")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    folders = [find_run(name) for name in args.runs]
    runs = [content.run(folder, name) for folder, name in zip(folders, args.runs, strict=True)]
    shown, missing = None, None
    if len(runs) == 1:
        try:
            shown = content.gallery(folders[0], runs[0], args.data_root, args.queries or 48)
        except UserError as error:
            missing = f"No gallery of retrieved clips: {error}"
            print(missing)

    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(PARTS), autoescape=True)
    page = environment.get_template("page.html").render(
        runs=runs,
        colors=content.COLORS,
        differences=content.differences(runs),
        results=content.side_by_side(runs),
        curves=content.charts(runs),
        gallery=shown,
        missing=missing,
        source=PAPER,
        style=(PARTS / "page.css").read_text(encoding="utf-8"),
        script=(PARTS / "player.js").read_text(encoding="utf-8"),
    )
    joined = "_".join(folder.resolve().name for folder in folders)[:100]
    beside = folders[0].parent / f"report_{joined}.html"
    out = args.out or (beside if len(runs) > 1 else folders[0] / "report.html")
    with atomic(out) as part:
        part.write_text(page, encoding="utf-8")
    print(f"written to {out}; open it in a browser")


def find_run(name: str) -> Path:
    for folder in (Path("checkpoints") / name, Path(name)):
        if folder.is_dir():
            return folder
    raise UserError(f"no run {name}: neither checkpoints/{name} nor {name} is a folder")


if __name__ == "__main__":
    run(main)
