"""The settings of a pre-training run, declared once: flags, defaults, what a checkpoint keeps."""

import argparse
from collections.abc import Mapping, Sequence
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
# The name of a recipe -> the settings in which it differs from the published method.
RECIPES: dict[str, dict[str, Any]] = {
    "umurl": {},
    # What each part is worth is in docs/experiments.md; it was not measured on NTU RGB+D.
    "umurl_plus": {
        "method": "umurl_pair",
        "shortest_crop": 0.3,
        "fewest_frames": 8,
        "yaw": 60.0,
        "tilt": 25.0,
    },
}
# The settings that decide how large the model is.
SIZES = ("hidden_size", "num_head", "num_layer", "projector_width")
# Settings that may differ between the machines of a run.
LOCAL = {"data_root", "resident", "workers", "checkpoint_path", "resume", "resume_anyway"}
# Settings that may change when a run is continued; any other setting would change its result.
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
    """All settings of pre-training.

    recipe: the name alone; `from_names` fills in the settings of the recipe.
    strengths: of the augmentation of the views.
    loss: the settings of the method, a record of the class that `net.methods` declares for the
        method. None: the defaults of that class.
    """

    data_root: str = _setting("data", "data", "folder that holds the stores")
    pre_dataset: str = _setting("data", "ntu120", "names of the stores to train on; after several "
                                "stores, evaluation takes the first one unless told otherwise",
                                joined="/")
    protocol: str = _setting("data", "cross_subject", "the split: cross_subject, cross_view, "
                             "cross_setup, or another one of the store; with several stores one "
                             "for all, or one for each", joined="/")
    mix: tuple[float, ...] = _setting("data", (), "with several stores, a weight for each: its "
                                      "share of a batch; without this flag an epoch takes each "
                                      "clip once", above=0)
    resident: str = _setting("data", "auto", "keep all frames on the GPU; auto: if they fill at "
                             "most half of its free memory", choices=("auto", "on", "off"))
    workers: int = _setting("data", 4, "threads that read ahead")

    recipe: str = _setting("model", "umurl", "a name for several settings; a flag that you "
                           f"give changes its own setting: {RECIPE_NAMES}", choices=RECIPES)
    method: str = _setting("model", methods.DEFAULT, METHOD_NAMES, choices=METHODS)
    encoder: str = _setting("model", methods.DEFAULT_ENCODER, "network that makes the features",
                            choices=methods.ENCODERS)
    hidden_size: int = _setting("model", 1024, "width of a token", **SIZE)
    num_head: int = _setting("model", 1, "attention heads", **SIZE)
    num_layer: int = _setting("model", 1, "transformer layers", **SIZE)
    projector_width: int = _setting("model", 4096, "outputs of each projector", **SIZE)

    epochs: int = _setting("training", 451, "how often each clip is seen", **COUNT)
    batch_size: int = _setting("training", 1024, "clips of a step, on all GPUs together", **PAIR)
    lr: float = _setting("training", 5e-4, "learning rate of Adam", above=0)
    schedule: tuple[int, ...] = _setting("training", (351,), "epochs, from 0, from which the "
                                         "learning rate is a tenth")
    warmup_epochs: int = _setting("training", 0, "epochs in which the learning rate rises from 0")
    cosine: bool = _setting("training", False, "let the learning rate fall to 0 along half a "
                            "cosine, instead of --schedule")
    wd: float = _setting("training", 1e-5, "L2 weight decay")
    decoupled_wd: bool = _setting("training", False, "subtract weight decay from the weights, as "
                                  "AdamW does, instead of adding it to the gradient")
    average: float = _setting("training", 0.0, "decay of a moving average of the encoder's weights "
                              "over the steps; evaluations use the average; 0: no average",
                              most=1)
    seed: int = _setting("training", 0, "seed of weights, order and augmentation")
    amp: str = _setting("training", "auto", "mixed precision; auto: bf16 or fp16 on a GPU, off on "
                        "a CPU", choices=("auto", "bf16", "fp16", "off"))
    compile: bool = _setting("training", False, "use torch.compile on a CPU, too; on a GPU this is "
                             "the default")
    no_compile: bool = _setting("training", False, "do not use torch.compile")
    accumulate: int = _setting("training", 1, "encode a batch in this many parts, one after "
                               "another, to save memory; the result is the same", **COUNT)

    checkpoint_path: Path = _setting(  # noqa: RUF009 (it is as immutable as the rest)
                                     "run", FOLDER, "folder of the run: checkpoints and "
                                     "TensorBoard events")
    resume: str = _setting("run", "auto", "checkpoint to continue from; auto: the newest whole one "
                           "in the run's folder, which also wins over a checkpoint named here")
    resume_anyway: bool = _setting("run", False, "continue although settings or data differ from "
                                   "the checkpoint's")
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
    """Make settings from names and values, as flags give them; the others have their defaults.

    given: {name: value}. If it names a `recipe`, the settings of the recipe replace the defaults.
    Raises ValueError, one line, for a setting of another method, and for a value that is not
    allowed.
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


def parse_with_sizes(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> argparse.Namespace:
    """Parse flags, those of `add_size_flags` among them.

    Ends the program with a usage error if the heads cannot share the hidden size.
    """
    args = parser.parse_args(argv)
    if fault := heads_fault(args.hidden_size, args.num_head):
        parser.error(fault)
    return args


def heads_fault(hidden_size: int, num_head: int) -> str | None:
    """What is wrong with the number of heads, in one line; None: each gets an equal part."""
    if hidden_size % num_head:
        return f"--hidden-size {hidden_size} cannot be divided by --num-head {num_head}"
    return None


def defaults() -> dict[str, Any]:
    """The default of every setting. It is also what older code did, which lacked that setting."""
    every = {k: v for name in METHODS for k, v in Settings(method=name).plain().items()}
    return every | Settings().plain()
