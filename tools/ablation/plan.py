"""The runs of an ablation: a variant at a learning rate with a seed, and the folder of each."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from tools.ablation.variants import DEFAULT, VARIANTS
from tools.training.settings import FREE, RECIPES, Settings, defaults, from_names

RESULT, FEATURES, LOG = "result.json", "features.npz", "log.txt"  # in the folder of a run
# Where they are not given: the settings that suit NW-UCLA.
USUAL = {
    "pre_dataset": "nwucla",
    "protocol": "cross_view",
    "hidden_size": 128,
    "batch_size": 128,
    "epochs": 60,
    "workers": 0,
    "monitor_every": 0,
    "keep": 1,
}
PUBLISHED_EPOCHS, PUBLISHED_MILESTONE = 451, 351
SAME = FREE - {"epochs"}  # settings that make no other run


@dataclass(frozen=True)
class Run:
    """A variant at a learning rate with a seed.

    folder: of its result; encoders: the folders of the runs whose encoders it takes, one a stream;
    none: it is pre-trained itself; settings: of its pre-training, or of the default's; every: it
    is measured every so many epochs; 0: only after the last one; keep: keep its checkpoints.
    """

    variant: str
    lr: float
    seed: int
    folder: Path
    settings: Settings
    encoders: tuple[Path, ...] = ()
    every: int = 0
    keep: bool = False

    @property
    def result(self) -> Path:
        """Its result, which is there when it is done."""
        return self.folder / RESULT

    def __str__(self) -> str:
        return f"{self.variant}, lr {self.lr:g}, seed {self.seed}"


def base_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that all variants have, by name: the usual ones, a recipe's, those given.

    Unless the schedule is given it is the published one in proportion to the epochs.
    """
    base = USUAL | RECIPES.get(given.get("recipe"), {}) | dict(given)
    return {"schedule": (base["epochs"] * PUBLISHED_MILESTONE // PUBLISHED_EPOCHS,)} | base


def settings_of(variant: str, base: Mapping[str, Any]) -> Settings:
    """The settings of a variant. Raises ValueError, one line, for those that cannot be."""
    return from_names({**base, **VARIANTS[variant].changes})


def unchanged(names: Sequence[str], base: Mapping[str, Any]) -> list[str]:
    """The variants, but the default, that are what the default already is with these settings."""
    default = told_of(settings_of(DEFAULT, base))
    trained = [name for name in names if name != DEFAULT and not VARIANTS[name].encoders]
    return [name for name in trained if told_of(settings_of(name, base)) == default]


def told_of(settings: Settings) -> dict[str, Any]:
    """The settings that make a run what it is and differ from the published method's.

    So a setting that is added to the code makes no other run.
    """
    usual = defaults()
    return {k: v for k, v in settings.plain().items() if k not in SAME and v != usual[k]}


@dataclass(frozen=True)
class Plan:
    """What is run: some variants, each at some learning rates with some seeds.

    variants: with all whose encoders they take; base: as `base_of` gives it; out: the folder of
    all; fingerprint: of the store; every, keep: as in Run.
    """

    variants: Sequence[str]
    base: Mapping[str, Any]
    rates: Sequence[float]
    seeds: Sequence[int]
    out: Path
    fingerprint: str
    every: int = 0
    keep: bool = False

    def runs(self) -> list[Run]:
        """All runs, those that take others' encoders last."""
        runs: dict[tuple[str, float, int], Run] = {}
        ordered = sorted(self.variants, key=lambda name: len(VARIANTS[name].encoders) > 0)
        for lr, seed, name in product(self.rates, self.seeds, ordered):
            others = [runs[other, lr, seed].folder for other in VARIANTS[name].encoders]
            make = self._reading if others else self._training
            runs[name, lr, seed] = make(name, lr, seed, *others)
        return sorted(runs.values(), key=lambda run: len(run.encoders) > 0)

    def _training(self, name: str, lr: float, seed: int) -> Run:
        settings = replace(settings_of(name, self.base), lr=lr, seed=seed)
        folder = self._folder(name, lr, seed, told_of(settings) | {"every": self.every})
        settings = replace(settings, checkpoint_path=folder)
        if self.every:
            settings = replace(settings, save_every=self.every, keep=settings.epochs)
        return Run(name, lr, seed, folder, settings, every=self.every, keep=self.keep)

    def _reading(self, name: str, lr: float, seed: int, *encoders: Path) -> Run:
        told = {"encoders": [path.name for path in encoders], "streams": VARIANTS[name].streams}
        settings = replace(settings_of(DEFAULT, self.base), lr=lr, seed=seed)
        return Run(name, lr, seed, self._folder(name, lr, seed, told), settings, encoders)

    def _folder(self, name: str, lr: float, seed: int, told: Mapping[str, Any]) -> Path:
        """The folder of a run; a digest of all that it is told is in its name."""
        text = json.dumps({"data": self.fingerprint, **told}, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return self.out / "runs" / f"{name}_lr{lr:g}_seed{seed}_{digest}"
