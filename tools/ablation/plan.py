"""The runs of an ablation, and the folder of each run.

A run is a variant at a learning rate with a seed.
"""

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
# Settings that the user does not give; they suit NW-UCLA.
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
SAME = FREE - {"epochs"}  # settings that do not change the result of a run


@dataclass(frozen=True)
class Run:
    """A variant at a learning rate with a seed.

    folder: where its files go.
    settings: of its pre-training; those of the default for a run that takes other encoders.
    encoders: the folders of the runs whose encoders it takes, one for each stream. Empty: it
        pre-trains an encoder itself.
    every: epochs between two measurements; 0: it is measured after the last epoch only.
    keep: whether its checkpoints stay.
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
        """The file of its result. A run is done when the file is there."""
        return self.folder / RESULT

    def __str__(self) -> str:
        return f"{self.variant}, lr {self.lr:g}, seed {self.seed}"


def base_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that all variants share: USUAL, then those of a recipe, then those given.

    given: {name of a setting: value}.
    The default of the schedule is the published schedule in proportion to the epochs.
    """
    base = USUAL | RECIPES.get(given.get("recipe"), {}) | dict(given)
    return {"schedule": (base["epochs"] * PUBLISHED_MILESTONE // PUBLISHED_EPOCHS,)} | base


def settings_of(variant: str, base: Mapping[str, Any]) -> Settings:
    """The settings of a variant. Raises ValueError, in one line, where they are not allowed.

    base: see `base_of`.
    """
    return from_names({**base, **VARIANTS[variant].changes})


def unchanged(names: Sequence[str], base: Mapping[str, Any]) -> list[str]:
    """Those of some variants whose settings are the settings of the default.

    base: see `base_of`.
    """
    default = told_of(settings_of(DEFAULT, base))
    trained = [name for name in names if name != DEFAULT and not VARIANTS[name].encoders]
    return [name for name in trained if told_of(settings_of(name, base)) == default]


def told_of(settings: Settings) -> dict[str, Any]:
    """The settings that can change a result and that differ from their defaults.

    A setting that is added to the code later is not among them, so the names of runs stay.
    """
    usual = defaults()
    return {k: v for k, v in settings.plain().items() if k not in SAME and v != usual[k]}


@dataclass(frozen=True)
class Plan:
    """Variants, learning rates and seeds; there is a run for each combination.

    variants: names; also of the variants whose encoders others take.
    base: see `base_of`.
    out: the folder of all runs and of the table.
    fingerprint: of the store.
    every, keep: see `Run`.
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
        """All runs; those that take the encoders of other runs come last."""
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
        """The folder of a run; its name holds a digest of what the run is told."""
        text = json.dumps({"data": self.fingerprint, **told}, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return self.out / "runs" / f"{name}_lr{lr:g}_seed{seed}_{digest}"
