"""The settings of a pre-training run, declared once: flags, defaults, what a checkpoint keeps."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from feeder.strengths import PUBLISHED, Strengths
from net import methods
from net.methods import METHODS
from tools.training import records

SIZE = {"least": 1, "most": 2**16}
COUNT = {"least": 1}
PAIR = {"least": 2}  # batch statistics are of two clips at least
METHOD_NAMES = "; ".join(f"{name}: {method.title}" for name, method in METHODS.items())
FOLDER = Path("checkpoints/default")
# What a recipe's name stands for: the settings in which it differs from the published method.
RECIPES: dict[str, dict[str, Any]] = {
    "umurl": {},
    "umurl_plus": {"lr": 2e-3, "cosine": True, "warmup_epochs": 3, "average": 0.99},
}
# The settings that give the model its size: its weights, and the work of a step.
SIZES = ("hidden_size", "num_head", "num_layer", "projector_width")
# Settings that may differ from machine to machine of a run.
LOCAL = {"data_root", "resident", "workers", "checkpoint_path", "resume", "resume_anyway"}
# Settings that may change when a run goes on; any other would change its result.
FREE = LOCAL | {
    "recipe",
    "epochs",
    "compile",
    "no_compile",
    "accumulate",
    "save_every",
    "keep",
    "print_freq",
    "monitor_every",
}


def _setting(group: str, default: Any, meaning: str, **limits: Any) -> Any:
    return field(default=default, metadata={"group": group, "help": meaning, **limits})


def _in_flags(recipe: dict[str, Any]) -> str:
    flags = (
        records.flag(name) if value is True else f"{records.flag(name)} {value}"
        for name, value in recipe.items()
    )
    return " ".join(flags) or "as published"


RECIPE_NAMES = "; ".join(f"{name}: {_in_flags(recipe)}" for name, recipe in RECIPES.items())


# fmt: off
@dataclass(frozen=True)
class Settings:
    """All that pre-training is told.

    recipe: the name alone; `from_names` fills in what the name stands for;
    strengths: of the views' augmentation;
    loss: the settings of the method, a record of the class that `net.methods` declares for it;
    None for that class's defaults.
    """

    data_root: str = _setting("data", "data", "folder that holds the stores")
    pre_dataset: str = _setting("data", "ntu120", "the stores to train on, by their names; of "
                                "several, evaluation takes the first if it is told no other",
                                joined="/")
    protocol: str = _setting("data", "cross_subject", "its split: cross_subject, cross_view, "
                             "cross_setup or another it has; of several stores one for all or one "
                             "for each", joined="/")
    mix: tuple[float, ...] = _setting("data", (), "of several stores, the share of each in a "
                                      "batch, up to a factor; if it is not given, an epoch takes "
                                      "each clip once", above=0)
    resident: str = _setting("data", "auto", "keep all frames on the GPU; auto: if they fill at "
                             "most half of it", choices=("auto", "on", "off"))
    workers: int = _setting("data", 4, "threads that read ahead")

    recipe: str = _setting("model", "umurl", "settings that go together, of which any other flag "
                           f"given here changes one: {RECIPE_NAMES}", choices=RECIPES)
    method: str = _setting("model", methods.DEFAULT, METHOD_NAMES, choices=METHODS)
    encoder: str = _setting("model", methods.DEFAULT_ENCODER, "network that makes the features",
                            choices=methods.ENCODERS)
    hidden_size: int = _setting("model", 1024, "width of a token", **SIZE)
    num_head: int = _setting("model", 1, "attention heads", **SIZE)
    num_layer: int = _setting("model", 1, "transformer layers", **SIZE)
    projector_width: int = _setting("model", 4096, "projectors' outputs", **SIZE)

    epochs: int = _setting("training", 451, "times each clip is seen", **COUNT)
    batch_size: int = _setting("training", 1024, "clips on all GPUs", **PAIR)
    lr: float = _setting("training", 5e-4, "learning rate of Adam", above=0)
    schedule: tuple[int, ...] = _setting("training", (351,), "epochs, from 0, from which the "
                                         "learning rate is a tenth")
    warmup_epochs: int = _setting("training", 0, "epochs in which the learning rate rises from 0")
    cosine: bool = _setting("training", False, "let the learning rate fall to 0 along half a "
                            "cosine, in the place of --schedule")
    wd: float = _setting("training", 1e-5, "L2 weight decay")
    decoupled_wd: bool = _setting("training", False, "take weight decay off the weights, as AdamW "
                                  "does, not add it to the gradient")
    average: float = _setting("training", 0.0, "decay of a moving average of the encoder's weights "
                              "over the steps, which is then what is evaluated; 0: no average",
                              most=1)
    seed: int = _setting("training", 0, "of weights, order, augmentation")
    amp: str = _setting("training", "auto", "mixed precision; auto: bf16 or fp16 on a GPU, off on "
                        "a CPU", choices=("auto", "bf16", "fp16", "off"))
    compile: bool = _setting("training", False, "use torch.compile on a CPU, too; on a GPU it is "
                             "the default")
    no_compile: bool = _setting("training", False, "do without torch.compile")
    accumulate: int = _setting("training", 1, "encode a batch in so many parts, one after another, "
                               "where memory is short; the result is that of the whole", **COUNT)

    checkpoint_path: Path = _setting(  # noqa: RUF009 (it is as immutable as the rest)
                                     "run", FOLDER, "folder of the run: checkpoints and "
                                     "TensorBoard events")
    resume: str = _setting("run", "auto", "checkpoint to begin with; auto, and in a folder that "
                           "holds some: go on from its newest whole one")
    resume_anyway: bool = _setting("run", False, "go on though settings or data are not those of "
                                   "the checkpoint")
    save_every: int = _setting("run", 10, "epochs between checkpoints", **COUNT)
    keep: int = _setting("run", 3, "how many checkpoints to keep", **COUNT)
    print_freq: int = _setting("run", 20, "steps between log entries", **COUNT)
    monitor_every: int = _setting("run", 10, "epochs between pictures of views and a quick k-NN; "
                                  "0: never")

    strengths: Strengths = PUBLISHED
    loss: Any = None

    def __post_init__(self):
        records.check(self)
        records.check(self.strengths)
        records.check(self.of_loss)
    # fmt: on

    @property
    def of_loss(self) -> Any:
        """The settings of the method."""
        return self.loss or METHODS[self.method].settings()

    def plain(self) -> dict[str, Any]:
        """All settings as plain values, as a checkpoint keeps them."""
        return records.plain(self) | records.plain(self.strengths) | records.plain(self.of_loss)


RECORDS = (Settings, Strengths, *(method.settings for method in METHODS.values()))


def from_names(given: Mapping[str, Any]) -> Settings:
    """The settings that are given by their names, as flags give them, the others at their defaults.

    Where `recipe` is among them, its settings take the place of the defaults. Raises ValueError,
    one line, for a setting of another method and for a value out of its range.
    """
    given = RECIPES.get(given.get("recipe"), {}) | dict(given)
    method = given.get("method", methods.DEFAULT)
    loss = METHODS[method].settings
    there = {name for record in (Settings, Strengths, loss) for name in records.names(record)}
    if foreign := given.keys() - there:
        known = ", ".join(map(records.flag, records.names(loss)))
        wrong = records.flag(min(foreign))
        raise ValueError(f"{wrong} is no setting of --method {method}, which has {known}")
    strengths = records.pick(Strengths, given)
    chosen = records.pick(Settings, given)
    return replace(chosen, strengths=strengths, loss=records.pick(loss, given))


def add_size_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of SIZES, with the defaults of pre-training, to another command."""
    records.add_flags(parser, Settings, only=SIZES)
    parser.set_defaults(**{name: getattr(Settings, name) for name in SIZES})


def heads_fault(hidden_size: int, num_head: int) -> str | None:
    """What is wrong with the number of heads, in one line; None: each gets an equal part."""
    if hidden_size % num_head:
        return f"--hidden-size {hidden_size} cannot be divided by --num-head {num_head}"
    return None


def defaults() -> dict[str, Any]:
    """The default of every setting, which is what code did that lacked that setting."""
    every = {k: v for name in METHODS for k, v in Settings(method=name).plain().items()}
    return every | Settings().plain()
