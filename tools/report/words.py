"""What a report says in words: what a run is, what it took, in what runs differ."""

import json
from pathlib import Path
from typing import Any

from feeder.store import StoreError, open_store
from net import MODALITIES, methods
from tools.evaluation.comparison import ELSEWHERE
from tools.evaluation.settings import changed, in_words

SHOWN_OF_A_HASH = 12  # characters of a commit or a fingerprint


def short_names(folders: list[Path]) -> list[str]:
    """Names of runs: those of their folders, with more of the path where two are the same."""
    paths = [folder.resolve().parts for folder in folders]
    length = 1
    while len({path[-length:] for path in paths}) < len(set(paths)):
        length += 1
    return ["/".join(path[-length:]) for path in paths]


def data_title(
    facts: dict[str, Any] | None, results: list[dict[str, Any]], data_root: str | None
) -> str:
    """What people call the data that a run was pre-trained on."""
    if not facts:
        return "unknown data"
    name = facts["settings"]["pre_dataset"]
    for result in results:
        if result["dataset"] == name:
            return result["title"]
    try:
        return open_store(data_root or facts["settings"]["data_root"], name).title
    except StoreError:
        return name


def about(facts: dict[str, Any] | None, title: str) -> str:
    """What a run is, in a line."""
    if not facts:
        return "No checkpoint of this code is here."
    return f"{_method(facts)} on {title}, {_plain(facts['settings']['protocol'])}"


def overview(facts: dict[str, Any] | None, title: str, seconds: float) -> dict[str, str]:
    """What one wants to know of a run first, by name."""
    if not facts:
        return {}
    settings, data, code = facts["settings"], facts["data"], facts["code"]
    clips = data.get("training clips")
    layers, heads = (
        f"{settings[f'num_{what}']} {what}{'' if settings[f'num_{what}'] == 1 else 's'}"
        for what in ("layer", "head")
    )
    commit = str(code.get("commit") or "commit not known")
    return {
        "Method": _method(facts),
        "Pre-trained on": f"{title}, {_plain(settings['protocol'])}",
        "Training clips": f"{clips:,}" if isinstance(clips, int) else "–",
        "Epochs": f"{facts['epoch']} of {settings.get('epochs', '?')}",
        "Encoder": f"width {settings['hidden_size']}, {layers}, {heads}",
        "Pre-training took": duration(seconds) if seconds else "–",
        "Device": str(code.get("device", "–")),
        "torch, Python": f"{code.get('torch', '–')}, {code.get('python', '–')}",
        "Code": f"{code.get('umurl', '–')}, {_short(commit)}",
    }


def evaluation(result: dict[str, Any]) -> str:
    """What a result's encoder saw and how it was evaluated, beside the task."""
    names = result.get("modalities", MODALITIES)
    settings = changed(result["task"], result)
    return ", ".join([" + ".join(names), *(in_words(*item) for item in settings.items())])


def differences(all_facts: list[dict[str, Any] | None]) -> list[dict[str, Any]]:
    """The settings and facts of the data in which some runs differ: name and values, run by run.

    Settings that only say on which machine a run was done are not among them.
    """
    known = [facts or {"settings": {}, "data": {}} for facts in all_facts]
    found = []
    for part, left_out in (("settings", ELSEWHERE - {"seed"}), ("data", {"protocol"})):
        for key in dict.fromkeys(key for facts in known for key in facts[part]):
            values = [facts[part].get(key) for facts in known]
            if key not in left_out and len({json.dumps(value) for value in values}) > 1:
                found.append({"name": key, "values": [_value(value) for value in values]})
    return found


def duration(seconds: float) -> str:
    """A time in words: `45 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def _method(facts: dict[str, Any]) -> str:
    return methods.title(facts["settings"].get("method"))


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _value(value: Any) -> str | None:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return None if value is None else _short(str(value))


def _short(text: str) -> str:
    """A text as it is, but of a hash its beginning."""
    digits = text.removesuffix("-dirty")
    if len(digits) in (40, 64) and set(digits) <= set("0123456789abcdef"):
        return digits[:SHOWN_OF_A_HASH] + text[len(digits) :]
    return text
