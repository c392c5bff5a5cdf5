"""Print the results of all runs as one Markdown table, with the paper's figures beside them.

    python -m tools.results checkpoints > results.md

Results that differ only in seeds, or in the split of a cross-validation, share a row: mean ±
standard deviation.
"""

import argparse
import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from common import UserError, run
from feeder.augment import PUBLISHED
from net import MODALITIES, methods
from tools.evaluation.results import changed, in_words, paper_figure, read
from tools.formats.tables import markdown
from tools.training import checkpoint
from tools.training.checkpoint import FINGERPRINT

HEADER = (
    *("evaluation", "encoder", "trained on", "settings that differ", "tested on"),
    *("top-1", "best top-1", "top-5", "mAP", "paper", "seeds", "runs"),
)
LEGEND = (
    "Percent. seeds: number of pre-training seeds × of evaluation seeds; ± is the standard "
    "deviation over all. best top-1: the best of all tests during a training, as the paper reports."
)
# Settings of pre-training that do not make another experiment: seed, machine, saving.
ELSEWHERE = {"seed"} | checkpoint.IDLE
# The only settings of pre-training that matter for a random encoder.
SHAPE = ("encoder", "hidden_size", "num_head", "num_layer")
IN_OTHER_COLUMNS = {"method", "pre_dataset", "protocol", "hidden_size", "epochs"}


class Single(NamedTuple):
    """One evaluation with one seed."""

    experiment: dict[str, Any]  # all that defines it but seeds, as plain values
    run: Path
    seeds: tuple[Any, Any]  # of pre-training or random weights; of the evaluation, with its split
    figures: dict[str, float | None]  # top1, best_top1, top5, map, paper: percent, or None


Row = list[Single]  # of one experiment


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    help = "a run's folder, or a folder of runs (checkpoints)"
    parser.add_argument("folders", type=Path, nargs="*", metavar="FOLDER", help=help)
    folders = parser.parse_args(argv).folders or [Path("checkpoints")]
    paths = {path for folder in folders for path in folder.rglob("*.json")}
    rows = grouped(one for path in sorted(paths) for one in evaluations(path))
    if not rows:
        script = "`./script_action_recognition.sh TEST_NAME`"
        raise UserError(f"no result in {', '.join(map(str, folders))}; make one with {script}")
    print("\n".join([*markdown(HEADER, [cells(row, rows) for row in rows]), "", LEGEND]))


def evaluations(path: Path) -> Iterator[Single]:
    """The evaluations in a result, if it is one: of each run and, in retrieval, each k."""
    result = read(path)
    if result is None:
        return
    task, random, data = result["task"], result["encoder"] == "random", result["pretraining_data"]
    # A setting of pre-training that is newer than the result has its default.
    pretraining = {"method": methods.DEFAULT, "encoder": methods.DEFAULT_ENCODER, **vars(PUBLISHED)}
    if method := methods.METHODS.get(result["pretraining"].get("method") or methods.DEFAULT):
        pretraining |= method.weights
    pretraining |= checkpoint.without_removed(result["pretraining"])
    names = SHAPE if random else sorted(pretraining.keys() - ELSEWHERE)
    # The title of the data is better than the name of its folder.
    title = data.get("title", result["pretraining"]["pre_dataset"])
    if data.get(FINGERPRINT) == result[FINGERPRINT]:
        title = result["title"]
    file = Path(result["checkpoint"]).name
    is_last = file == checkpoint.path_of(Path(), pretraining.get("epochs", 0)).name
    splits = result.get("splits")  # of a cross-validation, which is one row
    experiment = {
        "tested": [result["dataset"], result["title"], " ".join(splits or [result["protocol"]])],
        "data": result[FINGERPRINT],
        "trained": None if random else title,
        "encoder": result["encoder"],
        "modalities": result["modalities"],
        "pretraining": {key: pretraining.get(key) for key in names},
        "checkpoint": None if random or is_last else file.removesuffix(".pt"),
        "task": task,
    }
    first = result["seed"] if random else pretraining.get("seed")
    # In retrieval the seed matters only where it drew labels.
    drawn = task == "recognition" or result["label_fraction"] or result["labels_per_class"]
    for one in result["runs"]:
        seeds = (first, (one["seed"], splits and result["protocol"]) if drawn else None)
        if task == "recognition":
            tests = one["tests"]
            evaluated = [(result, tests[-1] | {"best_top1": max(test["top1"] for test in tests)})]
        else:
            evaluated = []
            for k, top1 in one["accuracies"].items():
                with_k = result | {"knn_neighbours": [int(k)], "neighbours": int(k)}
                figures = {"top1": top1, "top5": one["recall_at_5"], "map": one["map"]}
                evaluated.append((with_k, figures))
        for evaluation, figures in evaluated:
            settings = {"settings": changed(task, evaluation)}
            figures["paper"] = paper_figure(evaluation)
            yield Single(experiment | settings, path.parent, seeds, figures)


def grouped(found: Iterable[Single]) -> list[Row]:
    """Make rows of evaluations. The same one with the same seeds counts once in a folder.

    If it stands in several folders, each gets a row of its own, since these are no further seeds.
    """
    groups: dict[str, dict[tuple, Single]] = defaultdict(dict)
    for one in found:
        groups[json.dumps(one.experiment)][one.run, one.seeds] = one
    rows = []
    for group in groups.values():
        some = list(group.values())
        by_seed = {one.seeds: one for one in reversed(some)}
        # Random weights with the same seed are the same in all runs.
        if some[0].experiment["encoder"] == "random" or len(by_seed) == len(some):
            rows.append(list(by_seed.values())[::-1])
        else:
            runs = dict.fromkeys(one.run for one in some)
            rows += [[one for one in some if one.run == run] for run in runs]
    return sorted(rows, key=order)


def order(row: Row) -> list[Any]:
    one = row[0].experiment
    others = {key: value for key, value in one["settings"].items() if key != "knn_neighbours"}
    first = [one["tested"], len(others), str(others), -len(one["modalities"])]
    keys = ("modalities", "pretraining", "encoder", "checkpoint", "task", "settings")
    return first + [str(one[key]) for key in keys]


def cells(row: Row, rows: list[Row]) -> list[Any]:
    """The cells of a row, one for each column of HEADER."""
    one = row[0].experiment
    pretraining, (_, title, protocol) = one["pretraining"], one["tested"]
    settings = dict(one["settings"])
    task = "fine-tuning" if settings.pop("finetune", False) else one["task"]
    streams = [] if one["modalities"] == list(MODALITIES) else [" + ".join(one["modalities"])]
    trained = "–"
    if one["encoder"] != "random":
        method = pretraining["method"]
        parts = [f"{one['trained']} {pretraining['protocol']}"]
        parts += [methods.title(method)] if method != methods.DEFAULT else []
        parts += [f"{pretraining.get('epochs', '?')} epochs", one["checkpoint"]]
        trained = ", ".join(filter(None, parts))
    first, second = (len({single.seeds[i] for single in row}) for i in (0, 1))
    seeds = f"{first} × {second}"
    return [
        ", ".join([task, *streams, *(in_words(*item) for item in settings.items())]),
        f"{one['encoder']}, width {pretraining['hidden_size']}",
        trained,
        differences(one, rows) or "–",
        f"{title} {protocol}",
        *(spread(row, name) for name in ("top1", "best_top1", "top5", "map")),
        row[0].figures["paper"] or "–",
        seeds if len(row) == first * second else f"{len(row)} of {seeds}",
        ", ".join(dict.fromkeys(single.run.resolve().name for single in row)),
    ]


def spread(row: Row, name: str) -> str:
    """The mean of a figure and, of several, the standard deviation (unbiased)."""
    values = [one.figures[name] for one in row if one.figures.get(name) is not None]
    if not values:
        return "–"
    deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{deviation}"


def differences(experiment: dict[str, Any], rows: list[Row]) -> str:
    """The settings of pre-training that differ from those of other rows that test the same."""
    tested = experiment["tested"]
    alike = [row[0].experiment for row in rows if row[0].experiment["tested"] == tested]
    others = [{**one["pretraining"], "data": one["data"]} for one in alike]
    parts = []
    for key, value in {**experiment["pretraining"], "data": experiment["data"]}.items():
        same = all(str(other.get(key, value)) == str(value) for other in others)
        if same or key in IN_OTHER_COLUMNS:
            continue
        if isinstance(value, list):
            value = "-".join(map(str, value)) or "none"
        elif key == "data":
            value = value[:8]  # of its fingerprint
        parts.append(f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}")
    return ", ".join(parts)


if __name__ == "__main__":
    run(main)
