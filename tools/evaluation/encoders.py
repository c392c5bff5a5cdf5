"""Load the encoder of a checkpoint, or an encoder of the same sizes with random weights."""

from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from feeder.augment import Strengths
from net import MODALITIES, methods
from net.methods import METHODS
from tools.training import checkpoint
from tools.training.checkpoint import CheckpointError


class LoadedEncoder(NamedTuple):
    """An encoder to evaluate, and its origin.

    encoder: in eval mode, with frozen weights.
    kind: `pretrained` or `random`.
    folder: the run's folder, where results go.
    source: the checkpoint.
    saved: the checkpoint's `settings`, `data` and `code`.
    """

    encoder: nn.Module
    kind: str
    folder: Path
    source: Path
    saved: dict[str, dict[str, Any]]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of its pre-training."""
        return self.saved["settings"]

    @property
    def strengths(self) -> Strengths:
        """The augmentation of its pre-training."""
        names = {field.name for field in fields(Strengths)}
        return Strengths(**{name: self.settings[name] for name in names & self.settings.keys()})

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that its pre-training encoded."""
        method = METHODS.get(self.settings.get("method", methods.DEFAULT))
        return method.modalities if method else MODALITIES

    @property
    def is_final(self) -> bool:
        """Whether its checkpoint is the newest one of its run."""
        there = checkpoint.in_folder(self.folder)
        return bool(there) and there[-1].resolve() == self.source.resolve()


def load_encoder(path: str | Path) -> nn.Module:
    """Load the encoder of a checkpoint, in eval mode, onto the CPU.

    path: a checkpoint, or a run's folder, whose newest checkpoint is taken.
    Raises CheckpointError where there is none, or where other code wrote it.
    """
    return load(path).encoder


def load(
    path: str | Path,
    pretrained: str | Path = "final",
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> LoadedEncoder:
    """Load an encoder of a run.

    path: the run's folder, or a checkpoint in it.
    pretrained: `final`: the encoder of `path`. `random`: the same encoder with random weights. Else
        the path of another checkpoint.
    seed: draws the random weights.
    Raises CheckpointError where there is no checkpoint, or where other code wrote it.
    """
    path, random = Path(path), str(pretrained) == "random"
    source = path if random or str(pretrained) == "final" else Path(pretrained)
    source = checkpoint.newest(source) if source.is_dir() else source
    saved = checkpoint.load(source)
    settings = saved["settings"]
    torch.manual_seed(seed)
    name = settings.get("encoder", methods.DEFAULT_ENCODER)
    if name not in methods.ENCODERS:
        raise CheckpointError(f"{source}: --encoder {name} is not declared in net/methods.py")
    encoder = methods.ENCODERS[name](
        settings["hidden_size"],
        settings["num_head"],
        settings["num_layer"],
        checkpoint.layout_of(saved),
    )
    if not random:
        weights = checkpoint.encoder_of(saved)
        checkpoint.check_fits(encoder, weights, source)
        encoder.load_state_dict(weights)
    return LoadedEncoder(
        encoder=encoder.eval().requires_grad_(False).to(device),
        kind="random" if random else "pretrained",
        folder=path.parent if path.is_file() else path,
        source=source,
        saved={part: saved[part] for part in ("settings", "data", "code")},
    )


def best_device() -> torch.device:
    """A GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
