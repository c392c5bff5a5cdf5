"""Load the encoder of a checkpoint, or an encoder of the same sizes with random weights."""

from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from common import UserError
from data_gen.readers.recording import Reading
from feeder.augment import Strengths
from net import MODALITIES, methods
from tools.training import checkpoint


class LoadedEncoder(NamedTuple):
    """An encoder to evaluate, in eval mode and frozen, and its origin."""

    encoder: nn.Module
    kind: str  # `pretrained` or `random`
    folder: Path  # the run's, where results go
    source: Path  # the checkpoint
    is_final: bool  # whether it was the newest one of the run
    saved: dict[str, dict[str, Any]]  # its settings, data, code and preparation

    @property
    def settings(self) -> dict[str, Any]:
        return self.saved["settings"]

    @property
    def strengths(self) -> Strengths:
        """The augmentation of its pre-training."""
        names = {field.name for field in fields(Strengths)}
        return Strengths(**{name: self.settings[name] for name in names & self.settings.keys()})

    @property
    def modalities(self) -> tuple[str, ...]:
        """Those that its pre-training encoded."""
        method = methods.METHODS.get(self.settings.get("method", methods.DEFAULT))
        return method.modalities if method else MODALITIES

    @property
    def reading(self) -> Reading:
        """How recordings became the clips of its pre-training."""
        return Reading.of_store(self.encoder.layout, self.saved["preparation"])

    def modalities_of(self, asked: tuple[str, ...] | None) -> tuple[str, ...]:
        """Those that --modalities asks for, or those of pre-training. Raises UserError if
        pre-training did not encode one, whose weights are then random.
        """
        names = asked or self.modalities
        if self.kind == "pretrained" and (new := [n for n in names if n not in self.modalities]):
            fault = f"--modalities {','.join(names)}: {self.source} was pre-trained without"
            raise UserError(f"{fault} {' and '.join(new)}")
        return names


def load_encoder(path: str | Path) -> nn.Module:
    """Load the encoder of a checkpoint, or of a run's newest, in eval mode, onto the CPU."""
    return load(path).encoder


def load(
    path: str | Path,
    pretrained: str | Path = "final",
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> LoadedEncoder:
    """Load an encoder of a run: its folder, or a checkpoint in it.

    pretrained: `final`; `random`: with weights that the seed draws; or the path of a checkpoint.
    Raises UserError if there is no checkpoint, or other code wrote it.
    """
    path, random = Path(path), str(pretrained) == "random"
    named = path if str(pretrained) in ("final", "random") else Path(pretrained)
    source = checkpoint.newest(named)
    saved = checkpoint.load(source)
    settings = saved["settings"]
    name = settings.get("encoder", methods.DEFAULT_ENCODER)
    if name not in methods.ENCODERS:
        raise UserError(f"{source}: --encoder {name} is not declared in net/methods.py")
    torch.manual_seed(seed)
    sizes = (settings[size] for size in ("hidden_size", "num_head", "num_layer"))
    encoder = methods.ENCODERS[name](*sizes, checkpoint.layout_of(saved))
    if not random:
        checkpoint.load_weights(encoder, checkpoint.encoder_of(saved), source)
    encoder = encoder.eval().requires_grad_(False).to(device)
    kind, folder = "random" if random else "pretrained", path.parent if path.is_file() else path
    kept = {key: saved.get(key, {}) for key in ("settings", "data", "code", "preparation")}
    paths = [path.resolve() for path in checkpoint.in_folder(folder)]
    is_final = source.resolve() in paths[-1:]
    return LoadedEncoder(encoder, kind, folder, source, is_final, kept)


def best_device() -> torch.device:
    """A GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
