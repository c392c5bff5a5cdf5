"""The results of all runs as one Markdown table, the paper's figures beside them.

    python -m tools.results checkpoints > results.md

Runs that differ in nothing but seeds share a row: mean ± standard deviation over them.
"""

import argparse
import statistics
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from net.modalities import MODALITIES
from tools import cli
from tools.report.collect import results

HEADER = (
    *("evaluation", "encoder", "trained on", "tested on", "top-1", "best top-1", "top-5", "mAP"),
    *("paper", "runs"),
)
ELSEWHERE = ("seed", "pre_dataset", "protocol")  # of pre-training: not told by a row's `model`


class Row(NamedTuple):
    """What results that share a row agree in, in the order of the table."""

    tested: str
    task: str
    few: tuple[float, int]  # share of labels, labels a class; (0, 0): all
    finetune: bool
    late_fusion: bool
    modalities: tuple[int, tuple[str, ...]]  # how many are missing, which are there
    trained: str
    model: tuple[tuple[str, str], ...]  # settings of pre-training
    encoder: str
    flags: tuple  # of the evaluation

    @property
    def evaluation(self) -> str:
        """The evaluation in words."""
        names = self.modalities[1]
        parts = [
            "fine-tuning" if self.finetune else self.task,
            "" if names == MODALITIES else " + ".join(names),
            "late fusion" if self.late_fusion else "",
            f"{100 * self.few[0]:g} % of labels" if self.few[0] else "",
            f"{self.few[1]} labels a class" if self.few[1] else "",
        ]
        return ", ".join(filter(None, parts))


def parse_args() -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    parser.add_argument(
        "folders",
        type=Path,
        nargs="*",
        default=[Path("checkpoints")],
        metavar="FOLDER",
        help="a run, or what holds runs",
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    runs = {path.parent for folder in args.folders for path in folder.rglob("*.json")}
    found = [result for run in sorted(runs) for result in results(run)]
    if not found:
        raise cli.UserError(
            f"no result in {', '.join(map(str, args.folders))}; run "
            "./script_action_recognition.sh or ./script_action_retrieval.sh first"
        )
    print("\n".join(table(found)))


def table(found: list[dict]) -> list[str]:
    """The lines of the table for results as `tools.report.collect` reads them."""
    rows = defaultdict(list)
    for result in found:
        rows[row_of(result)].append(result)
    lines = [HEADER, ("---",) * len(HEADER), *(cells(row, rows[row]) for row in sorted(rows))]
    text = ["| " + " | ".join(line) + " |" for line in lines]
    if any("†" in line for line in text):
        text += ["", "† on the whole official test set, which the runs here were not tested on."]
    return text


def row_of(result: dict) -> Row:
    """The row that a result belongs to."""
    pretraining = result.get("pretraining", {})
    names = tuple(result.get("modalities", MODALITIES))
    flags = ("epochs", "batch_size", "lr", "encoder_lr", "schedule", "wd", "augment")
    return Row(
        tested=f"{result['dataset']} {result['protocol']}",
        task=result["task"],
        few=(result.get("label_fraction") or 0, result.get("labels_per_class") or 0),
        finetune=bool(result.get("finetune")),
        late_fusion=bool(result.get("late_fusion")),
        modalities=(len(MODALITIES) - len(names), names),
        trained=" ".join(str(pretraining.get(key, "?")) for key in ("pre_dataset", "protocol")),
        model=tuple((key, str(pretraining[key])) for key in pretraining if key not in ELSEWHERE),
        encoder=result["encoder"],
        flags=tuple(str(result.get(flag)) for flag in flags),
    )


def cells(row: Row, found: list[dict]) -> tuple[str, ...]:
    """The cells of a row with its results."""
    values = defaultdict(list)
    for result in found:
        for run in figures(result):
            for name, value in run.items():
                values[name].append(value)
    published = found[0]["paper"]
    mark = "" if all(result["full"] for result in found) else " †"
    model = dict(row.model)
    method = "" if model.get("method", "umurl") in ("umurl", "None") else f"{model['method']}, "
    trained = f"{row.trained}, {method}{model.get('epochs', '?')} epochs"
    return (
        row.evaluation,
        f"{row.encoder}, width {model.get('hidden_size', '?')}",
        "–" if row.encoder == "random" else trained,
        row.tested,
        *(spread(values[name]) for name in ("top1", "best_top1", "top5", "map")),
        f"{published}{mark}" if published else "–",
        str(len(values["top1"])),
    )


def figures(result: dict) -> list[dict[str, float]]:
    """The figures of each run that a result stands for, in percent."""
    if result["task"] == "retrieval":
        top1 = result.get("recall_at_1", result["accuracy"])
        more = {"top5": result.get("recall_at_5"), "map": result.get("map")}
        return [{"top1": top1} | {k: v for k, v in more.items() if v is not None}]
    return [
        {
            "top1": run["tests"][-1]["top1"],
            "top5": run["tests"][-1]["top5"],
            "best_top1": max(test["top1"] for test in run["tests"]),
        }
        for run in result.get("runs", [result])
    ]


def spread(values: list[float]) -> str:
    """Mean and, of several, standard deviation."""
    if not values:
        return "–"
    deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{deviation}"


if __name__ == "__main__":
    cli.run(main)
