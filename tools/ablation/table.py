"""The ablation table: means over seeds, the chosen learning rate, differences to the default."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from data_gen.preparing.files import whole_file
from tools.ablation.variants import DEFAULT, VARIANTS
from tools.evaluation.comparison import spread
from tools.evaluation.paired import Interval, paired_interval
from tools.formats.tables import markdown, write_csv

FIGURES = {
    "linear": "recognition",
    "knn": "1-NN",
    "linear_standardized": "recognition, standardized",
    "knn_standardized": "1-NN, standardized",
}
LEGEND = (
    "Percent, mean ± standard deviation over the seeds. Recognition is linear evaluation after its "
    "last epoch; standardized: each dimension of the features by the mean and the deviation of the "
    "training clips. In brackets: the difference to the default, paired by seeds, and its 95 % "
    "interval (Student's t); noise: the interval contains 0. About one in twenty of such intervals "
    "misses 0 by chance. If several learning rates were tried, a row has the rate with the best "
    "mean of the four figures on held-out training subjects. Pre-training has seen the clips of "
    "these subjects, without labels; no test clip takes part in the choice."
)


class Row(NamedTuple):
    """A variant at its chosen learning rate.

    seeds: of its runs.
    test, held_out: {figure: percent of each run}, on test clips and on held-out training subjects.
    differences: {figure: difference to the default}; None for the default itself, and where no
        seed is common.
    """

    variant: str
    lr: float
    seeds: list[int]
    test: dict[str, list[float]]
    held_out: dict[str, list[float]]
    differences: dict[str, Interval] | None

    @property
    def title(self) -> str:
        """The title of the variant."""
        return VARIANTS[self.variant].title


def rows(results: Iterable[dict[str, Any]]) -> list[Row]:
    """The rows of some results, in the order in which the variants are declared."""
    found: dict[str, dict[float, dict[int, dict]]] = defaultdict(lambda: defaultdict(dict))
    for result in results:
        found[result["variant"]][result["lr"]][result["seed"]] = result
    chosen = {name: chosen_rate(found[name]) for name in VARIANTS if name in found}
    return [_row(name, lr, found, chosen) for name, lr in chosen.items()]


def chosen_rate(by_rate: dict[float, dict[int, dict[str, Any]]]) -> float:
    """The learning rate with the best mean, over seeds and figures, on held-out subjects.

    by_rate: {learning rate: {seed: result}}. Only the rates with the most seeds count. Of equally
        good rates the smallest one is taken.
    """

    def quality(lr: float) -> tuple[int, float, float]:
        held_out = [statistics.fmean(r["held_out"].values()) for r in by_rate[lr].values()]
        return len(held_out), statistics.fmean(held_out), -lr

    return max(by_rate, key=quality)


def _row(name: str, lr: float, found: dict, chosen: dict[str, float]) -> Row:
    mine = found[name][lr]
    seeds = sorted(mine)
    parts = {
        part: {figure: [mine[seed][part][figure] for seed in seeds] for figure in FIGURES}
        for part in ("test", "held_out")
    }
    default = found[DEFAULT][chosen[DEFAULT]] if DEFAULT in chosen and name != DEFAULT else {}
    common = [seed for seed in seeds if seed in default]
    differences = {
        figure: paired_interval(
            *([of[seed]["test"][figure] for seed in common] for of in (mine, default))
        )
        for figure in FIGURES
        if common
    }
    return Row(name, lr, seeds, **parts, differences=differences or None)


def heading(results: Sequence[dict[str, Any]]) -> str:
    """What all runs have in common: the data, the sizes, the code."""
    settings, clips = results[0]["settings"], results[0]["clips"]
    commits = sorted({_short(result["code"]["commit"]) for result in results})
    devices = sorted({result["code"]["device"] for result in results})
    rates = sorted({result["lr"] for result in results})
    return (
        f"{results[0]['title']} {settings['protocol']}, {clips[0]} training and {clips[1]} test "
        f"clips; hidden {settings['hidden_size']}, projectors {settings['projector_width']}, batch "
        f"{settings['batch_size']}, {settings['epochs']} epochs, amp {settings['amp']}, learning "
        f"rates {', '.join(f'{lr:g}' for lr in rates)}; commit {', '.join(commits)}, on "
        f"{', '.join(devices)}."
    )


def _short(commit: str | None) -> str:
    # As git has it, `-dirty` where there were changes on top.
    return "unknown" if commit is None else commit[:7] + commit[40:]


def lines(found: Sequence[Row]) -> list[str]:
    """The lines of the Markdown table, and the text that explains it."""
    header = ["", "learning rate", *FIGURES.values(), "seeds"]
    cells = (
        [
            row.title,
            f"{row.lr:g}",
            *(_cell(row, figure) for figure in FIGURES),
            len(row.seeds),
        ]
        for row in found
    )
    return [*markdown(header, cells), "", LEGEND]


def _cell(row: Row, figure: str) -> str:
    value = spread(row.test[figure])
    return f"{value} ({in_words(row.differences[figure])})" if row.differences else value


def in_words(found: Interval) -> str:
    """A difference as the table shows it: `−1.3, −3.0 to +0.4, noise`."""
    if found.low is None:
        return f"{_signed(found.mean)}, one seed"
    noise = ", noise" if found.is_noise else ""
    return f"{_signed(found.mean)}, {_signed(found.low)} to {_signed(found.high)}{noise}"


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def write(found: Sequence[Row], results: Sequence[dict[str, Any]], out: Path) -> None:
    """Write table.md, table.csv (a line for each variant and figure) and runs.csv (for each run).

    results: those that the rows are made of.
    """
    text = [heading(results), "", *lines(found), ""]
    with whole_file(out / "table.md") as part:
        part.write_text("\n".join(text), encoding="utf-8")
    header = ["variant", "title", "lr", "seeds", "figure", "mean", "std", "held_out_mean"]
    header += ["difference", "low", "high", "noise"]
    write_csv(out / "table.csv", header, (_csv_row(r, name) for r in found for name in FIGURES))
    header = ["variant", "lr", "seed", *FIGURES, *(f"held_out_{name}" for name in FIGURES)]
    table = (
        [r["variant"], r["lr"], r["seed"]]
        + [f"{r[part][name]:.3f}" for part in ("test", "held_out") for name in FIGURES]
        + [r["seconds"], r["code"]["commit"]]
        for r in results
    )
    write_csv(out / "runs.csv", [*header, "seconds", "commit"], table)


def _csv_row(row: Row, figure: str) -> list[Any]:
    values, held_out = row.test[figure], row.held_out[figure]
    deviation = f"{statistics.stdev(values):.3f}" if len(values) > 1 else ""
    told = [row.variant, row.title, row.lr, len(values), figure]
    told += [f"{statistics.fmean(values):.3f}", deviation, f"{statistics.fmean(held_out):.3f}"]
    if not row.differences:
        return [*told, "", "", "", ""]
    found = row.differences[figure]
    ends = ["" if end is None else f"{end:.3f}" for end in (found.low, found.high)]
    return [*told, f"{found.mean:.3f}", *ends, found.is_noise]


def summary(result: dict[str, Any]) -> str:
    """The figures of one run, in one line."""
    parts = (f"{title} {result['test'][name]:.1f}" for name, title in FIGURES.items())
    return f"{'; '.join(parts)} ({result['seconds']:.0f} s)"
