"""Texts of a report: what a run is, what it took, and in which settings runs differ."""

from pathlib import Path
from typing import Any

from feeder.mixture import by_data_set
from feeder.store import StoreError, open_store
from net import MODALITIES, methods
from tools.evaluation.comparison import ELSEWHERE
from tools.evaluation.settings import changed, in_words
from tools.training.settings import Settings

SHOWN_OF_A_HASH = 12  # characters of a commit or a fingerprint


def short_names(folders: list[Path]) -> list[str]:
    """Names of runs: those of their folders, with more of the path where two names are equal."""
    paths = [folder.resolve().parts for folder in folders]
    length = 1
    while len({path[-length:] for path in paths}) < len(set(paths)):
        length += 1
    return ["/".join(path[-length:]) for path in paths]


def data_title(
    facts: dict[str, Any] | None, results: list[dict[str, Any]], data_root: str | None
) -> str:
    """The title and the split of the data on which a run was pre-trained."""
    if not facts:
        return "unknown data"
    settings, titles = facts["settings"], {r["dataset"]: r["title"] for r in results}
    parts = []
    for name, protocol in by_data_set(settings["pre_dataset"], settings["protocol"]).items():
        if name not in titles:
            try:
                titles[name] = open_store(data_root or settings["data_root"], name).title
            except StoreError:
                titles[name] = name
        parts.append(f"{titles[name]}, {protocol.replace('_', ' ')}")
    return " + ".join(parts)


def about(facts: dict[str, Any] | None, title: str) -> str:
    """A run in one line."""
    return f"{_method(facts)} on {title}" if facts else "No checkpoint of this code is here."


def overview(facts: dict[str, Any] | None, title: str, seconds: float) -> dict[str, str]:
    """The most important facts of a run, by name.

    facts: as `collect.facts` returns them.
    title: of the data.
    seconds: duration of the training.
    """
    if not facts:
        return {}
    settings, data, code = facts["settings"], facts["data"], facts["code"]
    clips = data.get("training clips")
    layers, heads = (
        f"{settings[f'num_{what}']} {what}{'' if settings[f'num_{what}'] == 1 else 's'}"
        for what in ("layer", "head")
    )
    encoder = settings.get("encoder", methods.DEFAULT_ENCODER)
    commit = str(code.get("commit") or "commit not known")
    return {
        "Method": _method(facts),
        "Pre-trained on": title,
        "Training clips": f"{clips:,}" if isinstance(clips, int) else "–",
        "Epochs": f"{facts['epoch']} of {settings.get('epochs', '?')}",
        "Encoder": f"{encoder}, width {settings['hidden_size']}, {layers}, {heads}",
        "Pre-training took": duration(seconds) if seconds else "–",
        "Device": str(code.get("device", "–")),
        "torch, Python": f"{code.get('torch', '–')}, {code.get('python', '–')}",
        "Code": f"{code.get('umurl', '–')}, {_short(commit)}",
    }


def evaluation(result: dict[str, Any]) -> str:
    """What the encoder of a result saw, and the settings of the evaluation."""
    names = result.get("modalities", MODALITIES)
    settings = changed(result["task"], result)
    return ", ".join([" + ".join(names), *(in_words(*item) for item in settings.items())])


def differences(all_facts: list[dict[str, Any] | None]) -> list[dict[str, Any]]:
    """The settings and facts of the data in which runs differ: a name, and a value for each run.

    A value is None where a run does not have the setting. Settings that depend only on the machine
    are left out.
    """
    found = []
    for part, left_out in (("settings", ELSEWHERE - {"seed"}), ("data", {"protocol"})):
        each = [_with_defaults(facts, part) if facts else {} for facts in all_facts]
        for key in dict.fromkeys(key for known in each for key in known):
            values = [_value(known.get(key)) for known in each]
            if key not in left_out and len(set(values) - {None}) > 1:
                found.append({"name": key, "values": values})
    return found


def _with_defaults(facts: dict[str, Any], part: str) -> dict[str, Any]:
    """A part of a run's facts; a setting that is newer than the run has its default."""
    method = facts["settings"].get("method", methods.DEFAULT)
    if part != "settings" or method not in methods.METHODS:
        return facts[part]
    return Settings(method=method).plain() | facts[part]


def duration(seconds: float) -> str:
    """A duration in words: `45 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def _method(facts: dict[str, Any]) -> str:
    return methods.title(facts["settings"].get("method"))


def _value(value: Any) -> str | None:
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value)) or "none"
    return None if value is None else _short(str(value))


def _short(text: str) -> str:
    """A text; of a hash only its first characters."""
    digits = text.removesuffix("-dirty")
    if len(digits) in (40, 64) and set(digits) <= set("0123456789abcdef"):
        return digits[:SHOWN_OF_A_HASH] + text[len(digits) :]
    return text
