"""Records of settings: turn a dataclass of plain values into flags, and flags into the dataclass.

Each setting is one field. Its name is the flag's name, and its type is what the flag takes. Its
metadata has `help`, and may have `group` (a heading of --help), `least`, `most`, `above`, `choices`
and `joined`. `joined` is for a text that the flag takes in several words: the separator.
"""

import argparse
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, TypeVar, get_args

from tools import cli

R = TypeVar("R")


def flag(name: str) -> str:
    """The flag of a setting: `hidden_size` -> `--hidden-size`."""
    return "--" + name.replace("_", "-")


def names(record: Any) -> list[str]:
    """The names of a record's settings, without the settings of records in it."""
    return [field.name for field in fields(record) if "help" in field.metadata]


def add_flags(
    parser: argparse.ArgumentParser,
    *records: type,
    only: Collection[str] | None = None,
    usual: Mapping[str, Any] | None = None,
) -> None:
    """Add a flag for each setting of some classes of records.

    A setting that several classes declare gets one flag. A flag that the user does not give is not
    in the parsed namespace; the record's default then holds. A setting that is on or off gets a
    second flag, `--no-...`, unless that is the flag of another setting.

    parser: gets the flags, in the groups that the fields name.
    records: dataclasses whose fields are declared as this module says.
    only: names of the settings that get a flag; None: all settings.
    usual: defaults that --help shows in the place of the records'.
    """
    groups: dict[str, Any] = {}
    declared: dict[str, list[Field]] = {}
    for record in records:
        for field in fields(record):
            if "help" in field.metadata and (only is None or field.name in only):
                declared.setdefault(field.name, []).append(field)
    for name, same in declared.items():
        field, told = same[0], same[0].metadata
        group = told.get("group")
        if group not in groups:
            groups[group] = parser.add_argument_group(group)
        defaults = dict.fromkeys(_shown((usual or {}).get(name, each.default)) for each in same)
        if field.type is bool:
            alone = name.startswith("no_") or f"no_{name}" in declared
            takes: dict[str, Any] = {
                "action": "store_true" if alone else argparse.BooleanOptionalAction
            }
        elif "choices" in told:
            takes = {"choices": tuple(told["choices"])}
        else:
            takes = {"type": _parser(field)}
            takes |= {"nargs": "*"} if get_args(field.type) else {}
            takes |= {"nargs": "+"} if "joined" in told else {}
        meaning = told["help"] + (f" (default: {', '.join(defaults)})" if any(defaults) else "")
        groups[group].add_argument(flag(name), default=argparse.SUPPRESS, help=meaning, **takes)


def pick(record: type[R], given: Mapping[str, Any]) -> R:
    """Make a record from the settings that are given; the others have their defaults.

    record: the dataclass.
    given: {name: value}; names that are no fields are ignored.
    Raises ValueError, one line that names the flag, for a value that is not allowed.
    """
    chosen = {f.name: _value(f, given[f.name]) for f in fields(record) if f.name in given}
    made = record(**chosen)
    check(made)
    return made


def _value(field: Field, given: Any) -> Any:
    # A flag with several words gives a list; the field holds a text or a tuple.
    if not isinstance(given, list):
        return given
    return field.metadata["joined"].join(given) if "joined" in field.metadata else tuple(given)


def check(record: Any) -> None:
    """Raise ValueError, one line that names the flag, for a value that is not allowed."""
    for field in fields(record):
        value, told = getattr(record, field.name), field.metadata
        if "choices" in told and value not in told["choices"]:
            raise ValueError(f"{flag(field.name)}: {value!r} is not one of {list(told['choices'])}")
        if "help" not in told or "choices" in told:
            continue
        number = field.type in (int, float) or bool(get_args(field.type))
        try:
            for each in value if isinstance(value, tuple) else (value,):
                if number:
                    _parser(field)(str(each))
                elif not isinstance(each, field.type):
                    raise argparse.ArgumentTypeError(f"{each!r} is no {field.type.__name__}")
        except argparse.ArgumentTypeError as error:
            raise ValueError(f"{flag(field.name)}: {error}") from None


def plain(record: Any) -> dict[str, Any]:
    """The settings of a record as plain values, which a checkpoint can hold."""

    def of(value: Any) -> Any:
        if isinstance(value, tuple):
            return list(value)
        return value if isinstance(value, (bool, int, float)) else str(value)

    return {name: of(getattr(record, name)) for name in names(record)}


def _shown(default: Any) -> str:
    # None and False are not shown: the help text says what happens without the flag.
    if default is None or default is False:
        return ""
    return " ".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _parser(field: Field) -> Callable[[str], Any]:
    # The argparse type of a field.
    told = field.metadata
    if field.type is int or int in get_args(field.type):
        return cli.whole_number(told.get("least", 0), told.get("most", 2**32 - 1))
    if field.type is float or float in get_args(field.type):
        return _number(told.get("most", math.inf), above_zero="above" in told)
    return {str: cli.text, Path: cli.path}[field.type]


def _number(most: float, *, above_zero: bool) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = (cli.positive if above_zero else cli.not_negative)(text)
        if value > most:
            raise argparse.ArgumentTypeError(f"{text!r} is above {most:g}")
        return value

    return parse
