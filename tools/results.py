"""Print the results of all runs as one Markdown table, with the paper's figures beside them.

    python -m tools.results checkpoints > results.md

Results that differ only in seeds share a row: mean ± standard deviation over the seeds.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import common
from common import UserError
from tools.evaluation import compare, results
from tools.evaluation.compare import Row
from tools.formats.tables import markdown

HEADER = (
    *("evaluation", "encoder", "trained on", "settings that differ", "tested on"),
    *("top-1", "best top-1", "top-5", "mAP", "paper", "seeds", "runs"),
)
LEGEND = (
    "Percent. seeds: number of pre-training seeds × of evaluation seeds; ± is the standard "
    "deviation over all. best top-1: the best of all tests during a training, as the paper reports."
)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    help = "a run's folder, or a folder of runs (checkpoints)"
    parser.add_argument("folders", type=Path, nargs="*", metavar="FOLDER", help=help)
    folders = parser.parse_args(argv).folders or [Path("checkpoints")]
    runs = sorted({path.parent for folder in folders for path in folder.rglob("*.json")})
    rows = compare.compare((run, result) for run in runs for result in results.read(run))
    if not rows:
        raise UserError(
            f"no result in {', '.join(map(str, folders))}; make one with "
            "`./script_action_recognition.sh TEST_NAME`"
        )
    lines = [cells(*item) for item in zip(rows, compare.differences(rows), strict=True)]
    print("\n".join([*markdown(HEADER, lines), "", LEGEND]))


def cells(row: Row, differing: str) -> list[str]:
    """The cells of a row, one for each column of HEADER."""
    one = row.experiment
    _, title, protocol = one["tested"]
    return [
        compare.evaluation(row),
        f"{one['encoder']}, width {one['pretraining']['hidden_size']}",
        compare.trained(row),
        differing or "–",
        f"{title} {protocol}",
        *(compare.spread(row.figures(name)) for name in ("top1", "best_top1", "top5", "map")),
        str(row.singles[0].paper or "–"),
        compare.count(row),
        ", ".join(dict.fromkeys(single.run.resolve().name for single in row.singles)),
    ]


if __name__ == "__main__":
    common.run(main)
