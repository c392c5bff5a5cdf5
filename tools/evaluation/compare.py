"""Compare results of many runs: results that differ only in seeds share a row."""

import json
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from feeder.augment import PUBLISHED
from net import MODALITIES, methods
from tools.evaluation import paper
from tools.evaluation.results import FINGERPRINT, changed, in_words
from tools.training import checkpoint

# Settings of pre-training that do not make another experiment: seed, machine, saving.
ELSEWHERE = {"seed"} | checkpoint.FREE - {"epochs"}
# The only settings of pre-training that matter for a random encoder.
SHAPE = ("encoder", "hidden_size", "num_head", "num_layer")
IN_OTHER_COLUMNS = {"method", "pre_dataset", "protocol", "hidden_size", "epochs"}


class Single(NamedTuple):
    """One evaluation with one seed.

    seeds: of pre-training (or of the random weights), and of the evaluation, with its split.
    figures: top1, best_top1, top5, map: percent, where there are such; paper: the paper's.
    """

    run: Path
    seeds: tuple[Any, Any]
    figures: dict[str, float]
    paper: float | None


class Row(NamedTuple):
    """Evaluations that differ only in seeds; experiment: all that defines them, as plain values."""

    experiment: dict[str, Any]
    singles: list[Single]

    def figures(self, name: str) -> list[float]:
        """The figures of one name, in percent."""
        return [one.figures[name] for one in self.singles if one.figures.get(name) is not None]


def compare(results: Iterable[tuple[Path, dict[str, Any]]]) -> list[Row]:
    """Make rows of results, each with the folder of its run.

    The same evaluation with the same seeds counts once in a folder. If it stands in several
    folders, each folder gets a row of its own, since these are no further seeds.
    """
    groups: dict[str, dict[tuple, Single]] = defaultdict(dict)
    for run, result in results:
        for experiment, single in _singles(run, result):
            groups[json.dumps(experiment)][run, single.seeds] = single
    rows = []
    for key, group in groups.items():
        experiment, singles = json.loads(key), list(group.values())
        one_each = list({one.seeds: one for one in reversed(singles)}.values())[::-1]
        # Random weights with the same seed are the same in all runs.
        if experiment["encoder"] == "random" or len(one_each) == len(singles):
            rows.append(Row(experiment, one_each))
            continue
        for run in dict.fromkeys(one.run for one in singles):
            rows.append(Row(experiment, [one for one in singles if one.run == run]))
    return sorted(rows, key=_order)


def _order(row: Row) -> tuple:
    # Rows of one data set, one evaluation and one encoder stand together.
    one = row.experiment
    others = {key: value for key, value in one["settings"].items() if key != "knn_neighbours"}
    evaluated = (one["tested"], len(others), str(others), -len(one["modalities"]))
    encoder = (str(one["modalities"]), str(one["pretraining"]), one["encoder"])
    return (*evaluated, *encoder, str(one["checkpoint"]), one["task"], str(one["settings"]))


def _singles(run: Path, result: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Single]]:
    """The evaluations in one result: one for each run and, in retrieval, number of neighbors."""
    task, random, pretraining = result["task"], result["encoder"] == "random", _pretraining(result)
    names = SHAPE if random else sorted(pretraining.keys() - ELSEWHERE)
    data = result["pretraining_data"]
    same_data = data.get(FINGERPRINT) == result[FINGERPRINT]
    # The title of the data is better than the name of its folder.
    title = (
        result["title"] if same_data else data.get("title", result["pretraining"]["pre_dataset"])
    )
    file = Path(result["checkpoint"]).name
    is_last = file == checkpoint.path_of(Path(), pretraining.get("epochs", 0)).name
    experiment = {
        "tested": [result["dataset"], result["title"], result["protocol"]],
        "data": result[FINGERPRINT],
        "trained": None if random else title,
        "encoder": result["encoder"],
        "modalities": result["modalities"],
        "pretraining": {key: pretraining.get(key) for key in names},
        "checkpoint": None if random or is_last else file.removesuffix(".pt"),
        "task": task,
    }
    split = None
    if splits := result.get("splits"):  # a row of all of them
        experiment["tested"][2], split = " ".join(splits), result["protocol"]
    first = result["seed"] if random else pretraining.get("seed")
    # In retrieval the seed matters only where it drew labels.
    drawn = task == "recognition" or result["label_fraction"] or result["labels_per_class"]
    for one in result["runs"]:
        seeds = (first, (one["seed"], split) if drawn else None)
        if task == "recognition":
            best = max(test["top1"] for test in one["tests"])
            figures = {**one["tests"][-1], "best_top1": best}
            settings = {"settings": changed(task, result)}
            yield experiment | settings, Single(run, seeds, figures, paper.figure(result))
            continue
        for k, accuracy in one["accuracies"].items():
            alone = {**result, "knn_neighbours": [int(k)], "neighbours": int(k)}
            figures = {"top1": accuracy, "top5": one["recall_at_5"], "map": one["map"]}
            settings = {"settings": changed(task, alone)}
            yield experiment | settings, Single(run, seeds, figures, paper.figure(alone))


def _pretraining(result: dict[str, Any]) -> dict[str, Any]:
    """The settings of pre-training; one that is newer than the result has its default."""
    settings = dict(result["pretraining"])
    for name, harmless in checkpoint.REMOVED.items():
        if harmless is None or settings.get(name) == harmless:
            settings.pop(name, None)
    usual = {"method": methods.DEFAULT, "encoder": methods.DEFAULT_ENCODER, **vars(PUBLISHED)}
    if method := methods.METHODS.get(settings.get("method") or methods.DEFAULT):
        usual |= method.weights
    return usual | settings


# ---- cells


def evaluation(row: Row) -> str:
    """The evaluation: `recognition, joint, late_fusion` or `retrieval, k5`."""
    one, settings = row.experiment, dict(row.experiment["settings"])
    task = "fine-tuning" if settings.pop("finetune", False) else one["task"]
    shown = [] if one["modalities"] == list(MODALITIES) else [" + ".join(one["modalities"])]
    return ", ".join([task, *shown, *(in_words(*item) for item in settings.items())])


def trained(row: Row) -> str:
    """The data, the method and the epochs of pre-training; a dash for a random encoder."""
    one, settings = row.experiment, row.experiment["pretraining"]
    if one["encoder"] == "random":
        return "–"
    parts = [f"{one['trained']} {settings['protocol']}"]
    if settings["method"] != methods.DEFAULT:
        parts.append(methods.title(settings["method"]))
    parts += [f"{settings.get('epochs', '?')} epochs"]
    return ", ".join(parts + ([one["checkpoint"]] if one["checkpoint"] else []))


def differences(rows: list[Row]) -> list[str]:
    """For each row, the settings that it has and that differ from other rows of the same data."""
    facts = [{**row.experiment["pretraining"], "data": row.experiment["data"]} for row in rows]
    found = []
    for row, mine in zip(rows, facts, strict=True):
        tested = row.experiment["tested"]
        alike = [
            fact
            for fact, one in zip(facts, rows, strict=True)
            if one.experiment["tested"] == tested
        ]
        differing = (
            f"{key} {_short(value)}"
            for key, value in mine.items()
            if key not in IN_OTHER_COLUMNS
            and any(str(other.get(key, value)) != str(value) for other in alike)
        )
        found.append(", ".join(differing))
    return found


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "-".join(map(str, value)) or "none"
    if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value):
        return value[:8]
    return f"{value:g}" if isinstance(value, float) else str(value)


def spread(values: list[float]) -> str:
    """The mean of some values and, for several values, the standard deviation (unbiased)."""
    if not values:
        return "–"
    deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{deviation}"


def count(row: Row) -> str:
    """The number of evaluations: seeds of pre-training × seeds of evaluation."""
    first, second = (len({one.seeds[i] for one in row.singles}) for i in (0, 1))
    n = len(row.singles)
    return f"{first} × {second}" if n == first * second else f"{n} of {first} × {second}"
