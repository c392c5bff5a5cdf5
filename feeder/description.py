"""The description of a data set in its store.json: skeleton, classes, splits, origin."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from common import UserError
from feeder.skeletons import Layout

FORMAT = "umurl store 1"
FIELDS = ("setup", "camera", "subject", "replication", "action")  # columns in every samples.csv
PARITIES = {"even": 0, "odd": 1}
CHECKED = ".checked"  # a file of an older store: its coordinates were checked
UNLABELED = ("unlabeled",)  # the classes of a store without labels; the action of each clip is 1


@dataclass(frozen=True)
class Split:
    """Which clips are training clips; all others are test clips."""

    column: str  # of samples.csv: of FIELDS, or a further one with 1 for training, 0 for test
    train: tuple[int, ...] | str = (1,)  # the values of the training clips, or "even" or "odd"


@dataclass(frozen=True)
class Description:
    """What a data set is."""

    title: str  # for readers
    layout: Layout
    classes: tuple[str, ...]  # the names of actions 1, 2, ...; UNLABELED without labels
    splits: Mapping[str, Split]  # {protocol: its split}
    origin: str  # where the recordings come from, for messages
    command: str  # what writes the store, for messages
    # {protocol: the published numbers of (training, test) clips}
    official: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    alignment: str = "kinect"  # the rule that turned the clips: the published one, or "upright"
    reading: Mapping[str, Any] = field(default_factory=dict)  # options of the reader, `Reading`
    checked: bool = False  # the coordinates were checked when the store was written

    @property
    def preparation(self) -> dict[str, Any]:
        """How recordings became clips, and new ones become clips like them."""
        return {"alignment": self.alignment, "reading": dict(self.reading)}

    @property
    def more_columns(self) -> tuple[str, ...]:
        """The columns of samples.csv beyond FIELDS that say which clips are training clips."""
        columns = (split.column for split in self.splits.values())
        return tuple(dict.fromkeys(column for column in columns if column not in FIELDS))

    def train_mask(self, protocol: str, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Which clips train under a protocol: (N,) bool; columns: {of samples.csv: (N,) int}."""
        if protocol not in self.splits:
            has = " and ".join(self.splits)
            raise UserError(f"{self.title} has no protocol {protocol!r}; it has {has}")
        values, train = columns[self.splits[protocol].column], self.splits[protocol].train
        return values % 2 == PARITIES[train] if train in PARITIES else np.isin(values, train)

    def to_json(self) -> str:
        head = {"format": FORMAT, "title": self.title, "origin": self.origin}
        head |= {"command": self.command, **self.layout.to_plain(), "classes": self.classes}
        splits = {protocol: vars(split) for protocol, split in self.splits.items()}
        keys = ("official", "alignment", "reading", "checked")
        plain = head | {"splits": splits} | {key: getattr(self, key) for key in keys}
        lines = (f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in plain.items())
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_json(cls, text: str) -> "Description":
        """The description that `to_json` wrote. Raises UserError with what is wrong."""
        try:
            plain = json.loads(text)
            if (found := plain.pop("format")) != FORMAT:
                raise UserError(f"format is {found!r}, not {FORMAT!r}")
            layout = Layout.from_plain({key: plain.pop(key) for key in ("skeleton", "bodies")})
            for name, split in plain["splits"].items():
                train = split.pop("train")
                train = train if isinstance(train, str) else tuple(train)
                plain["splits"][name] = Split(train=train, **split)
            plain["official"] = {name: tuple(n) for name, n in plain["official"].items()}
            return cls(**plain | {"layout": layout, "classes": tuple(plain["classes"])})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"not a description of a store ({error!r})") from None
