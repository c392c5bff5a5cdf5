"""Write a report of one run, or of several side by side, as one HTML page with everything inside.

python -m tools.report ntu60_xsub
python -m tools.report ntu60_xsub baseline half_rate --out comparison.html
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from data_gen.preparing.files import whole_file
from tools import cli


# fmt: off
def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="TEST_NAME",
                        help="name of a run, or its folder; several are compared")
    parser.add_argument("--data-root", help="folder that holds the stores (the checkpoint's)")
    parser.add_argument("--queries", type=cli.whole_number(1), default=48,
                        help="how many queries the gallery of a single run shows")
    parser.add_argument("--out", type=Path,
                        help="file to write (report.html in the run's folder; for several runs "
                        "report_A_B.html beside the first run's folder)")
    return parser.parse_args(argv)
# fmt: on


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    from tools.report import build, collect  # import torch, so after the flags are checked

    folders = [collect.find_run(name) for name in args.runs]
    report = build.build(folders, args.data_root, args.queries)
    out = args.out or build.usual_path(folders)
    with whole_file(out) as part:
        part.write_text(build.page(report), encoding="utf-8")
    for run in report["runs"]:
        for what, why in run["missing"].items():
            print(f"{run['name']}: no {what}: {why}")
    print(f"written to {out}; open it in a browser")


if __name__ == "__main__":
    cli.run(main)
