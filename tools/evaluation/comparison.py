"""Compare results of many runs: results that differ only in seeds share a row."""

import json
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from net import MODALITIES, methods
from tools.evaluation import paper
from tools.evaluation.paper import FINGERPRINT
from tools.evaluation.settings import changed, in_words
from tools.training.checkpoint import FREE

# Settings of pre-training that do not make another experiment: seed, machine, saving.
ELSEWHERE = {"seed"} | FREE - {"epochs"}
# The only settings of pre-training that matter for a random encoder.
SHAPE = ("encoder", "hidden_size", "num_head", "num_layer")
IN_OTHER_COLUMNS = {"method", "pre_dataset", "protocol", "hidden_size", "epochs"}
_CHECKPOINT = re.compile(r"checkpoint_(\d+)(_\d+)?\.pt")


class Single(NamedTuple):
    """One evaluation of one encoder with one seed.

    experiment: everything that defines the experiment but seeds and machine, as plain values.
    run: folder of the run.
    seeds: of pre-training (or of the random weights), and of the evaluation.
    figures: {name: percent}.
    paper: the paper's figure in percent, or None.
    """

    experiment: dict[str, Any]
    run: Path
    seeds: tuple[Any, Any]
    figures: dict[str, float]
    paper: float | None


class Row(NamedTuple):
    """Evaluations that differ only in seeds.

    experiment: as in `Single`.
    figures: {name: percent of each evaluation}.
    seeds: of each evaluation, as in `Single`.
    runs: names of the runs' folders.
    paper: the paper's figure in percent, or None.
    """

    experiment: dict[str, Any]
    figures: dict[str, list[float]]
    seeds: list[tuple[Any, Any]]
    runs: list[str]
    paper: float | None


def compare(results: Iterable[tuple[Path, dict[str, Any]]]) -> list[Row]:
    """Make rows of results.

    results: the run's folder of each result, and the result as `saved_results.results` returns it.

    The same evaluation with the same seeds counts once in a folder. If it stands in several
    folders, each folder gets a row of its own, since these are no further seeds.
    """
    groups = defaultdict(list)
    for run, result in results:
        for single in singles(run, result):
            groups[json.dumps(single.experiment, sort_keys=True)].append(single)
    return sorted((row for group in groups.values() for row in _rows(group)), key=_order)


def singles(run: Path, result: dict[str, Any]) -> list[Single]:
    """The evaluations in one result: one for each run and, in retrieval, number of neighbors."""
    pretraining, random = _pretraining(result), result["encoder"] == "random"
    kept = SHAPE if random else [key for key in pretraining if key not in ELSEWHERE]
    experiment = {
        "tested": [result["dataset"], result["title"], result["protocol"]],
        "data": result.get(FINGERPRINT),
        "trained": None if random else _trained_on(result),
        "encoder": result["encoder"],
        "modalities": list(result.get("modalities", MODALITIES)),
        "pretraining": {key: pretraining.get(key) for key in kept},
        "checkpoint": None if random else _stage(result.get("checkpoint"), pretraining),
        "task": result["task"],
        "settings": changed(result["task"], result),
    }
    # Older results do not tell the seed of random weights; it differed from run to run.
    first = result.get("seed", str(run)) if random else pretraining.get("seed")
    if result["task"] == "retrieval":
        return _retrievals(run, result, experiment, first)
    return [
        Single(experiment, run, (first, one.get("seed")), _recognition(one), result["paper"])
        for one in result.get("runs", [result])
    ]


def _trained_on(result: dict[str, Any]) -> str:
    # The title of the data is better than the name of its folder.
    data, known = result.get("pretraining_data", {}), result.get(FINGERPRINT)
    same = known is not None and data.get(FINGERPRINT) == known
    named = result["title"] if same else result.get("pretraining", {}).get("pre_dataset", "?")
    return data.get("title", named)


def _pretraining(result: dict[str, Any]) -> dict[str, Any]:
    """The settings of pre-training; a setting that is newer than the result has its default."""
    return result.get("pretraining", {})


def _retrievals(
    run: Path, result: dict[str, Any], experiment: dict[str, Any], first: Any
) -> list[Single]:
    # One evaluation for each number of neighbors. The seed matters only where it drew labels.
    found = []
    drawn = any(result.get(key) for key in ("label_fraction", "labels_per_class"))
    for one in result.get("runs", [result]):
        second = one.get("seed") if drawn else None
        for k, accuracy in (one.get("accuracies") or {"1": one["accuracy"]}).items():
            settings = experiment["settings"] | {"knn_neighbours": [int(k)]}
            each = experiment | {"settings": changed("retrieval", settings)}
            published = _of_paper(result, int(k))
            found.append(Single(each, run, (first, second), _retrieval(one, accuracy), published))
    return found


def _of_paper(result: dict[str, Any], neighbors: int) -> float | None:
    return paper.figure(result | {"neighbours": neighbors, "knn_neighbours": [neighbors]})


def _retrieval(result: dict[str, Any], accuracy: float) -> dict[str, float]:
    named = {"top1": accuracy, "top5": result.get("recall_at_5"), "map": result.get("map")}
    return {name: value for name, value in named.items() if value is not None}


def _recognition(run: dict[str, Any]) -> dict[str, float]:
    last = run["tests"][-1]
    best = max(test["top1"] for test in run["tests"])
    return {"top1": last["top1"], "top5": last["top5"], "best_top1": best}


def _stage(checkpoint: Any, pretraining: dict[str, Any]) -> str | None:
    """The checkpoint's name; None for the checkpoint after the last epoch."""
    if checkpoint is None:
        return None
    name = Path(str(checkpoint)).name
    found = _CHECKPOINT.fullmatch(name)
    last = found and not found[2] and int(found[1]) == pretraining.get("epochs")
    return None if last else name.removesuffix(".pt")


def _rows(group: list[Single]) -> list[Row]:
    by_seeds: dict[tuple, dict[str, Single]] = defaultdict(dict)
    for single in group:
        by_seeds[single.seeds][str(single.run)] = single
    # Random weights with the same seed are the same in all runs.
    random = group[0].experiment["encoder"] == "random"
    if random or all(len(runs) == 1 for runs in by_seeds.values()):
        return [_row([next(iter(runs.values())) for runs in by_seeds.values()])]
    folders = dict.fromkeys(str(single.run) for single in group)
    return [_row([runs[f] for runs in by_seeds.values() if f in runs]) for f in folders]


def _row(found: list[Single]) -> Row:
    figures = defaultdict(list)
    for single in found:
        for name, value in single.figures.items():
            figures[name].append(value)
    runs = list(dict.fromkeys(single.run.resolve().name for single in found))
    seeds = [single.seeds for single in found]
    return Row(found[0].experiment, dict(figures), seeds, runs, found[0].paper)


def _order(row: Row) -> tuple:
    """The order of rows: those of one encoder and one data set stand together."""
    one = row.experiment
    others = {key: value for key, value in one["settings"].items() if key != "knn_neighbours"}
    return (
        *(one["tested"], len(others), str(others)),
        *(len(MODALITIES) - len(one["modalities"]), one["modalities"]),
        *(str(one["pretraining"]), one["encoder"] == "random", one["checkpoint"] or ""),
        *(one["task"], str(one["settings"]), row.runs),
    )


# ---- in words


def evaluation(row: Row) -> str:
    """The evaluation in words: `recognition, joint, late_fusion` or `retrieval, k5`."""
    one = row.experiment
    names = tuple(one["modalities"])
    settings = dict(one["settings"])
    task = "fine-tuning" if settings.pop("finetune", False) else one["task"]
    shown = [] if names == MODALITIES else [" + ".join(names)]
    return ", ".join([task, *shown, *(in_words(*item) for item in settings.items())])


def encoder(row: Row) -> str:
    """The encoder in words: `pretrained, width 1024`."""
    width = row.experiment["pretraining"].get("hidden_size", "?")
    return f"{row.experiment['encoder']}, width {width}"


def trained(row: Row) -> str:
    """The data, the method and the epochs of pre-training in words; a dash for a random encoder."""
    if row.experiment["encoder"] == "random":
        return "–"
    told = {key: value for key, value in row.experiment["pretraining"].items() if value is not None}
    method = told.get("method") or methods.DEFAULT
    data = f"{row.experiment['trained']} {told.get('protocol', '?')}"
    parts = [
        data,
        *([] if method == methods.DEFAULT else [methods.title(method)]),
        f"{told.get('epochs', '?')} epochs",
    ]
    return ", ".join([*parts, *filter(None, [row.experiment["checkpoint"]])])


def tested(row: Row) -> str:
    """The title of the data set and the protocol on which it was tested."""
    _, title, protocol = row.experiment["tested"]
    return f"{title} {protocol}"


def differences(rows: list[Row]) -> list[str]:
    """For each row, the settings of pre-training that differ from other rows of the same data.

    A row that does not have a setting, as of a random encoder, does not differ in it.
    """
    told = []
    for row in rows:
        alike = [_facts(o) for o in rows if o.experiment["tested"] == row.experiment["tested"]]
        differing = {
            key: value
            for key, value in _facts(row).items()
            if key not in IN_OTHER_COLUMNS
            and any(str(other.get(key, value)) != str(value) for other in alike)
        }
        told.append(", ".join(f"{key} {_short(value)}" for key, value in differing.items()))
    return told


def _facts(row: Row) -> dict[str, Any]:
    data = {} if row.experiment["data"] is None else {"data": row.experiment["data"]}
    return row.experiment["pretraining"] | data


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
    first, second = (len(set(seeds)) for seeds in zip(*row.seeds, strict=True))
    n = len(row.seeds)
    return f"{first} × {second}" if n == first * second else f"{n} of {first} × {second}"
