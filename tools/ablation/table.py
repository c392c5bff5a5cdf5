"""The ablation table: means over seeds, the chosen learning rate, differences to the default."""

import statistics
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from scipy.stats import ttest_rel

from common import atomic
from tools.ablation.variants import DEFAULT, VARIANTS
from tools.drawing import figures
from tools.formats.tables import markdown, write_csv

FIGURES = {
    "linear": "recognition",
    "knn": "1-NN",
    "linear_standardized": "recognition, standardized",
    "knn_standardized": "1-NN, standardized",
}
LEGEND = (
    "Percent, mean ± standard deviation over the seeds; recognition is linear evaluation. In "
    "brackets: the difference to the default, paired by seeds, and its 95 % interval (Student's "
    "t); noise: the interval contains 0. A row has the learning rate with the best mean of the "
    "four figures on held-out training subjects, whose clips pre-training has seen unlabelled."
)
Result = dict[str, Any]  # of a run, as result.json holds it


def rows(results: list[Result]) -> list[dict[str, Any]]:
    """A row for each variant, at its chosen learning rate, and figure; in percent. `difference` is
    to the default, paired by seeds, `low` to `high` its 95 % interval, `noise` if 0 is in it.
    """
    default, table = {}, []
    for name in VARIANTS:  # the default is the first
        of_rates = [result for result in results if result["variant"] == name]
        if not of_rates:
            continue
        lr = chosen_rate(of_rates)
        mine = {result["seed"]: result for result in of_rates if result["lr"] == lr}
        pairs = [(mine[seed], default[seed]) for seed in mine if seed in default]
        default = mine if name == DEFAULT else default
        for figure in FIGURES:
            values = [run["test"][figure] for run in mine.values()]
            row = {"variant": name, "title": VARIANTS[name].title, "lr": lr, "seeds": len(mine)}
            row |= {"figure": figure, "mean": statistics.fmean(values)}
            row["std"] = statistics.stdev(values) if len(values) > 1 else None
            row["held_out_mean"] = statistics.fmean(r["held_out"][figure] for r in mine.values())
            row |= dict.fromkeys(("difference", "low", "high", "noise"))
            if pairs:
                a, b = ([run["test"][figure] for run in side] for side in zip(*pairs, strict=True))
                row["difference"] = statistics.fmean(a) - statistics.fmean(b)
            if len(pairs) > 1:
                row["low"], row["high"] = map(float, ttest_rel(a, b).confidence_interval())
                row["noise"] = row["low"] <= 0 <= row["high"]
            table.append(row)
    return table


def chosen_rate(results: list[Result]) -> float:
    """The rate of a variant's results with the best mean, over seeds and figures, on held-out
    subjects. Only the rates with the most seeds count; of equally good ones the smallest is taken.
    """

    def quality(lr: float) -> tuple[int, float, float]:
        held_out = [statistics.fmean(r["held_out"].values()) for r in results if r["lr"] == lr]
        return len(held_out), statistics.fmean(held_out), -lr

    return max({result["lr"] for result in results}, key=quality)


def text(results: list[Result]) -> str:
    """The table in Markdown, below what all runs have in common."""
    sizes = ("hidden_size", "projector_width", "batch_size", "epochs", "amp")
    facts = [f"{name} {results[0]['settings'][name]}" for name in sizes]
    facts += sorted({f"lr {run['lr']:g}" for run in results})
    facts += sorted({f"commit {(run['code']['commit'] or 'unknown')[:7]}" for run in results})
    facts += sorted({f"on {run['code']['device']}" for run in results})
    train, test = results[0]["clips"]
    data = f"{results[0]['title']} {results[0]['settings']['protocol']}"
    lines: dict[str, list[Any]] = {}
    for row in rows(results):
        line = lines.setdefault(row["variant"], [row["title"], f"{row['lr']:g}", row["seeds"]])
        cell = f"{row['mean']:.1f}" + (f" ± {row['std']:.1f}" if row["seeds"] > 1 else "")
        if row["difference"] is not None:
            low, high = row["low"], row["high"]
            interval = "one seed" if low is None else f"{low:+.1f} to {high:+.1f}"
            interval += ", noise" if row["noise"] else ""
            cell += f" ({row['difference']:+.1f}, {interval})".replace("-", "−")
        line.append(cell)
    table = markdown(["", "learning rate", "seeds", *FIGURES.values()], lines.values())
    heading = f"{data}, {train} training and {test} test clips; {', '.join(facts)}."
    return "\n".join([heading, "", *table, "", LEGEND, ""])


def write(results: list[Result], out: Path) -> None:
    """Write table.md, table.csv, runs.csv, curves.csv (of figures on the way), differences.png."""

    def line(result: Result, *more: str) -> dict[str, Any]:
        columns = {name: result[name] for name in ("variant", "lr", "seed", *more)}
        held_out = {f"held_out_{name}": value for name, value in result["held_out"].items()}
        return columns | result["test"] | held_out

    tables = {
        "table": rows(results),
        "runs": [line(run, "seconds") | {"commit": run["code"]["commit"]} for run in results],
        "curves": [line(run | at, "epoch", "step") for run in results for at in run["curve"]],
    }
    with atomic(out / "table.md") as part:
        part.write_text(text(results), encoding="utf-8")
    for name, lines in tables.items():
        if lines:
            write_csv(out / f"{name}.csv", list(lines[0]), (line.values() for line in lines))
    if compared := [row for row in tables["table"] if row["difference"] is not None]:
        figures.save(differences(compared), out / "differences.png", dpi=150)


def differences(table: list[dict[str, Any]]) -> Figure:
    """The differences to the default of some `rows`: dots, hollow within noise, and intervals."""
    titles = list(dict.fromkeys(row["title"] for row in table))
    figure = Figure((9.0, 1.3 + 0.34 * len(titles)), layout="constrained")
    panels = dict(zip(("linear", "knn"), figure.subplots(1, 2, sharey=True), strict=True))
    for row in table:
        task, _, way = row["figure"].partition("_")
        color, shift = ("#a34e00", 0.14) if way else ("#1f5fbf", -0.14)
        y = titles.index(row["title"]) + shift
        low, high = (row["difference"] if row[end] is None else row[end] for end in ("low", "high"))
        is_first = row["title"] == titles[0] and task == "linear"
        label = (way or "as published") if is_first else None
        panels[task].plot((low, high), (y, y), color=color, label=label)
        fill = "white" if low <= 0 <= high or low == high else color
        panels[task].plot(row["difference"], y, "o", color=color, markerfacecolor=fill)
    for task, axes in panels.items():
        axes.axvline(0, color="gray", linewidth=0.8)
        axes.set(title=FIGURES[task], xlabel="points more than the default; hollow: within noise")
        axes.set_yticks(range(len(titles)), titles)
        axes.set_ylim(len(titles) - 0.3, -0.7)
        axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure
