"""Print the results of all runs as one Markdown table, with the paper's figures beside them.

    python -m tools.results checkpoints > results.md

Results that differ only in seeds share a row: mean ± standard deviation over the seeds.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from data_gen.preparing.commands import command
from tools import cli
from tools.evaluation import comparison, saved_results
from tools.evaluation.comparison import Row
from tools.formats.tables import markdown

HEADER = (
    *("evaluation", "encoder", "trained on", "settings that differ", "tested on"),
    *("top-1", "best top-1", "top-5", "mAP", "paper", "seeds", "runs"),
)
LEGEND = (
    "Percent. seeds: number of pre-training seeds × of evaluation seeds; ± is the standard "
    "deviation over all. best top-1: the best of all tests during a training, as the paper reports."
)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="*", metavar="FOLDER",
                        help="a run's folder, or a folder of runs (checkpoints)")  # fmt: skip
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    folders = parse_args(argv).folders or [Path("checkpoints")]
    runs = {path.parent for folder in folders for path in folder.rglob("*.json")}
    found = []
    for run in sorted(runs):
        results, others = saved_results.results(run)
        found += [(run, result) for result in results]
        for path in others:
            print(f"{path} is left out: it is not a result of this code", file=sys.stderr)
    if not found:
        raise cli.UserError(
            f"no result in {', '.join(map(str, folders))}; make one with "
            f"`{command('script_action_recognition.sh', 'TEST_NAME')}`"
        )
    print("\n".join(table(comparison.compare(found))))


def table(rows: list[Row]) -> list[str]:
    """The lines of the Markdown table, and a legend."""
    differing = comparison.differences(rows)
    cells = [_cells(row, names) for row, names in zip(rows, differing, strict=True)]
    return [*markdown(HEADER, cells), "", LEGEND]


def _cells(row: Row, differing: str) -> tuple[str, ...]:
    figures = (row.figures.get(name, []) for name in ("top1", "best_top1", "top5", "map"))
    return (
        comparison.evaluation(row),
        comparison.encoder(row),
        comparison.trained(row),
        differing or "–",
        comparison.tested(row),
        *map(comparison.spread, figures),
        str(row.paper or "–"),
        comparison.count(row),
        ", ".join(row.runs),
    )


if __name__ == "__main__":
    cli.run(main)
