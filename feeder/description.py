"""The description of a data set in its store.json: skeleton, classes, splits, origin."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from feeder.skeletons import DescriptionError, Layout, check, check_keys

FORMAT = "umurl store 1"
FIELDS = ("setup", "camera", "subject", "replication", "action")  # columns in every samples.csv
PARITIES = {"even": 0, "odd": 1}
MOST_CLASSES = 100_000
_RESERVED = ("name", "start", "frames", *FIELDS)


@dataclass(frozen=True)
class Split:
    """Which clips are training clips; all others are test clips.

    column: a column of samples.csv: one of FIELDS, or a further column that holds 1 for a training
        clip and 0 for a test clip
    train: the values of the training clips in this column, or "even" or "odd"
    Raises DescriptionError for a wrong value.
    """

    column: str
    train: tuple[int, ...] | str = (1,)

    def __post_init__(self) -> None:
        allowed = self.column in FIELDS or self.column not in _RESERVED
        fault = f"{self.column[:40]!r} cannot split"
        check(allowed and self.column.isidentifier(), "column", fault)
        if isinstance(self.train, str):
            check(self.train in PARITIES, "train", f"{self.train[:40]!r} is not even or odd")
        else:
            check(len(self.train) > 0, "train", "names no value")
        listed = self.column not in FIELDS
        check(not listed or self.train == (1,), "train", f"of the column {self.column} is not [1]")

    def mask(self, values: np.ndarray) -> np.ndarray:
        """Which clips are training clips: values (N,) of the column -> (N,) bool."""
        if isinstance(self.train, str):
            return np.asarray(values) % 2 == PARITIES[self.train]
        return np.isin(values, self.train)

    def to_plain(self) -> dict[str, Any]:
        """The split as values for JSON."""
        train = self.train if isinstance(self.train, str) else list(self.train)
        return {"column": self.column, "train": train}

    @classmethod
    def from_plain(cls, plain: Any) -> "Split":
        """The split that `to_plain` described. Raises DescriptionError with the wrong field."""
        check_keys(plain, ["column", "train"], "split")
        column, train = plain["column"], plain["train"]
        check(isinstance(column, str), "column", "is no text")
        values = isinstance(train, list) and all(type(value) is int for value in train)
        check(values or isinstance(train, str), "train", "is no list of whole numbers")
        return cls(column, tuple(train) if values else train)


@dataclass(frozen=True)
class Description:
    """What a data set is.

    title: the name that readers see
    layout: the bodies and the skeleton in a frame
    classes: the names of actions 1, 2, ... in samples.csv
    splits: {protocol: its split}
    origin: where the recordings come from
    command: the command that writes the store, for messages
    official: {protocol: the published numbers of (training, test) clips}; empty if there are no
        such numbers, or if the recordings are others
    Raises DescriptionError for a wrong value.
    """

    title: str
    layout: Layout
    classes: tuple[str, ...]
    splits: Mapping[str, Split]
    origin: str
    command: str
    official: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("title", "origin", "command"):
            check(0 < len(getattr(self, name)) <= 200, name, "is not 1 to 200 characters")
        texts = (self.title, self.origin, self.command, *self.classes)
        check(all(text.isprintable() for text in texts), "a text", "holds what cannot be printed")
        check(0 < len(self.classes) <= MOST_CLASSES, "classes", "holds no name of a class")
        check(all(self.classes), "classes", "holds an empty name")
        check(len(set(self.classes)) == len(self.classes), "classes", "holds a name twice")
        check(len(self.splits) > 0, "splits", "holds no split")
        for protocol in self.splits:
            check(protocol.isidentifier(), "splits", f"{protocol[:40]!r} is not letters and _")
        for protocol in self.official:
            check(protocol in self.splits, "official", f"{protocol[:40]!r} is none of the splits")

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.classes)

    @property
    def more_columns(self) -> tuple[str, ...]:
        """The columns of samples.csv beyond FIELDS that say which clips are training clips."""
        columns = (split.column for split in self.splits.values())
        return tuple(dict.fromkeys(column for column in columns if column not in FIELDS))

    @property
    def num_clips(self) -> int | None:
        """The published number of clips, or None."""
        return sum(next(iter(self.official.values()))) if self.official else None

    def train_mask(self, protocol: str, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Which clips are training clips under a protocol: (N,) bool.

        columns: {column of samples.csv: (N,) integers}
        Raises ValueError for a protocol that the data set does not have.
        """
        if protocol not in self.splits:
            has = " and ".join(self.splits)
            raise ValueError(f"{self.title} has no protocol {protocol!r}; it has {has}")
        split = self.splits[protocol]
        return split.mask(columns[split.column])

    def to_json(self) -> str:
        """The text of store.json."""
        plain = {
            "format": FORMAT,
            "title": self.title,
            "origin": self.origin,
            "command": self.command,
            **self.layout.to_plain(),
            "classes": list(self.classes),
            "splits": {protocol: split.to_plain() for protocol, split in self.splits.items()},
            "official": {protocol: list(counts) for protocol, counts in self.official.items()},
        }
        lines = (f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in plain.items())
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_json(cls, text: str) -> "Description":
        """The description that `to_json` wrote. Raises DescriptionError with the wrong field."""
        try:
            plain = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DescriptionError(f"it is not JSON ({error})") from None
        texts, rest = ["title", "origin", "command"], ["classes", "splits", "official"]
        check(isinstance(plain, dict), "it", "is no object with names and values")
        form = plain.get("format")
        check(form == FORMAT, "format", f"is {str(form)[:40]!r}, not {FORMAT!r}")
        keys = [*texts, "skeleton", "bodies", *rest]
        check_keys({key: value for key, value in plain.items() if key != "format"}, keys, "it")
        for key in texts:
            check(isinstance(plain[key], str), key, "is no text")
        classes, splits, official = (plain[key] for key in rest)
        names = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
        check(names, "classes", "is no list of names")
        check(isinstance(splits, dict), "splits", "is no object {protocol: split}")
        check(isinstance(official, dict), "official", "is no object {protocol: counts}")
        for protocol, counts in official.items():
            pair = isinstance(counts, list) and [type(count) for count in counts] == [int, int]
            check(pair, "official", f"{protocol[:40]!r} is not two whole numbers")
        return cls(
            plain["title"],
            Layout.from_plain({key: plain[key] for key in ("skeleton", "bodies")}),
            tuple(classes),
            {protocol: Split.from_plain(split) for protocol, split in splits.items()},
            plain["origin"],
            plain["command"],
            {protocol: tuple(counts) for protocol, counts in official.items()},
        )
