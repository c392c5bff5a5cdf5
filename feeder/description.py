"""The description of a data set in its store.json: skeleton, classes, splits, origin."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from common import UserError
from feeder.skeletons import DescriptionError, Layout

FORMAT = "umurl store 1"
FIELDS = ("setup", "camera", "subject", "replication", "action")  # columns in every samples.csv
PARITIES = {"even": 0, "odd": 1}
UNLABELED = ("unlabeled",)  # the classes of a store without labels; the action of each clip is 1


@dataclass(frozen=True)
class Split:
    """Which clips are training clips; all others are test clips.

    column: of samples.csv: one of FIELDS, or a further one with 1 for a training clip, 0 for a test
        clip
    train: the values of the training clips in this column, or "even" or "odd"
    Raises DescriptionError if the column cannot split.
    """

    column: str
    train: tuple[int, ...] | str = (1,)

    def __post_init__(self):
        if not self.column.isidentifier() or self.column in ("name", "start", "frames"):
            raise DescriptionError(f"column {self.column!r} cannot split; choose another name")


@dataclass(frozen=True)
class Description:
    """What a data set is.

    title: the name that readers see
    classes: the names of actions 1, 2, ... in samples.csv; UNLABELED without labels
    splits: {protocol: its split}
    origin, command: where the recordings come from, and what writes the store, for messages
    official: {protocol: the published numbers of (training, test) clips}
    alignment: the rule that turned the clips: "kinect" (the published one) or "upright"
    reading: {option: value} of the reader of own recordings (axes, channels, unit, ...)
    checked: the coordinates of joints.npy were checked when the store was written
    """

    title: str
    layout: Layout
    classes: tuple[str, ...]
    splits: Mapping[str, Split]
    origin: str
    command: str
    official: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    alignment: str = "kinect"
    reading: Mapping[str, Any] = field(default_factory=dict)
    checked: bool = False

    def __post_init__(self):
        if not all(self.classes) or not 0 < len(self.classes) == len(set(self.classes)):
            raise DescriptionError("classes: at least one name, none empty, each once")
        if not self.splits or not all(protocol.isidentifier() for protocol in self.splits):
            raise DescriptionError("splits: at least one, named with letters, digits and _")

    @property
    def more_columns(self) -> tuple[str, ...]:
        """The columns of samples.csv beyond FIELDS that say which clips are training clips."""
        columns = (split.column for split in self.splits.values())
        return tuple(dict.fromkeys(column for column in columns if column not in FIELDS))

    def train_mask(self, protocol: str, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Which clips are training clips under a protocol: (N,) bool; UserError if there is none.

        columns: {column of samples.csv: (N,) integers}
        """
        if protocol not in self.splits:
            has = " and ".join(self.splits)
            raise UserError(f"{self.title} has no protocol {protocol!r}; it has {has}")
        values, train = columns[self.splits[protocol].column], self.splits[protocol].train
        return values % 2 == PARITIES[train] if train in PARITIES else np.isin(values, train)

    def to_json(self) -> str:
        """The text of store.json."""
        plain = {
            "format": FORMAT,
            "title": self.title,
            "origin": self.origin,
            "command": self.command,
            **self.layout.to_plain(),
            "classes": self.classes,
            "splits": {protocol: vars(split) for protocol, split in self.splits.items()},
            "official": self.official,
            "alignment": self.alignment,
            "reading": self.reading,
            "checked": self.checked,
        }
        lines = (f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in plain.items())
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_json(cls, text: str) -> "Description":
        """The description that `to_json` wrote. Raises DescriptionError with what is wrong."""
        try:
            plain = json.loads(text)
            if (found := plain.pop("format")) != FORMAT:
                raise DescriptionError(f"format is {found!r}, not {FORMAT!r}")
            layout = Layout.from_plain({key: plain.pop(key) for key in ("skeleton", "bodies")})
            for name, split in plain["splits"].items():
                train = split.pop("train")
                train = train if isinstance(train, str) else tuple(train)
                plain["splits"][name] = Split(train=train, **split)
            plain["official"] = {name: tuple(n) for name, n in plain["official"].items()}
            return cls(**plain | {"layout": layout, "classes": tuple(plain["classes"])})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DescriptionError(f"it is no description of a store ({error!r})") from None
