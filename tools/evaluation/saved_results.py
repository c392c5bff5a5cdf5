"""Read the results in a run's folder, without trusting them."""

import json
from pathlib import Path
from typing import Any

from feeder.datasets.known import KNOWN
from tools.cli import UserError
from tools.evaluation import paper

TEXTS = ("encoder", "dataset", "protocol")


def results(folder: Path) -> tuple[list[dict[str, Any]], list[Path]]:
    """Read the results in a run's folder; also list the files that only look like results.

    folder: the run's folder.

    A result is the content of its JSON file with four further entries: `file`, its name; `title` of
    the data set; `official_clips`, the published numbers of training and test clips, or None; and
    `paper`, the paper's figure, or None. Results of the pre-trained encoder come first. Raises
    UserError for a file that is no JSON.
    """
    found, others = [], []
    for path in sorted(folder.glob("*.json")):
        value = read_json(path)
        if not (isinstance(value, dict) and value.get("task") in ("recognition", "retrieval")):
            continue
        if not _is_result(value):
            others.append(path)
            continue
        value.setdefault("title", value["dataset"])
        value.setdefault("official_clips", _official(value))
        found.append(value | {"file": path.name, "paper": paper.figure(value)})
    return sorted(found, key=lambda r: (r["encoder"] != "pretrained", r["task"])), others


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises UserError where it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise UserError(f"{path} is not JSON ({error}); make it again") from None


def _official(result: dict[str, Any]) -> list[int] | None:
    # Results of older code lack the official numbers.
    known = KNOWN.get(result["dataset"])
    counts = known and known.official.get(result["protocol"])
    return list(counts) if counts else None


def _is_result(value: dict[str, Any]) -> bool:
    """Whether a content has all entries that this code reads of a result, of the right types."""
    if not all(isinstance(value.get(key), str) for key in TEXTS):
        return False
    if not all(isinstance(value.get(k, {}), dict) for k in ("pretraining", "pretraining_data")):
        return False
    names = value.get("modalities", [])
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        return False
    runs = value.get("runs", [value])
    if not (isinstance(runs, list) and runs and all(isinstance(run, dict) for run in runs)):
        return False
    if value["task"] == "retrieval":
        return all(map(_is_retrieval, [value, *runs]))
    figures = all(_is_number(value.get(key)) for key in ("top1", "top5", "best_top1"))
    return figures and all(_are_tests(run.get("tests")) for run in runs)


def _is_retrieval(value: dict[str, Any]) -> bool:
    votes = value.get("accuracies", {})
    if not (isinstance(votes, dict) and all(k.isdecimal() for k in votes)):
        return False
    maybe = [value.get(key) for key in ("map", "recall_at_5") if value.get(key) is not None]
    return all(map(_is_number, [value.get("accuracy"), *votes.values(), *maybe]))


def _are_tests(tests: Any) -> bool:
    return (
        isinstance(tests, list)
        and bool(tests)
        and all(
            isinstance(test, dict) and all(_is_number(test.get(key)) for key in ("top1", "top5"))
            for test in tests
        )
    )


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)
