"""Load the encoder of a checkpoint, or an encoder of the same sizes with random weights."""

from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from feeder.skeletons import Layout
from feeder.strengths import Strengths
from net import MODALITIES, methods
from net.methods import METHODS
from tools.formats import checkpoint
from tools.formats.checkpoint import CheckpointError


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
        """The augmentation of its pre-training.

        Raises CheckpointError where a value is not allowed.
        """
        try:
            names = {field.name for field in fields(Strengths)}
            return Strengths(**{k: v for k, v in self.settings.items() if k in names})
        except ValueError as error:
            raise checkpoint.CheckpointError(f"{self.source}: {error}") from None

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that its pre-training taught it to read."""
        method = METHODS.get(self.settings.get("method", methods.DEFAULT))
        return method.modalities if method else MODALITIES

    @property
    def is_final(self) -> bool:
        """Whether its checkpoint is the newest one of its run."""
        there = checkpoint.in_folder(self.folder)
        return bool(there) and there[-1].resolve() == self.source.resolve()


def load_encoder(path: str | Path) -> nn.Module:
    """Load the encoder of a checkpoint, in eval mode, onto the CPU.

    path: a checkpoint, or a run's folder; then its newest checkpoint.
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
    device: where the encoder is put.
    Raises CheckpointError where there is no checkpoint, or where other code wrote it.
    """
    path = Path(path)
    source = path if str(pretrained) in ("final", "random") else Path(pretrained)
    source = checkpoint.newest(source) if source.is_dir() else source
    saved = checkpoint.load(source)
    torch.manual_seed(seed)
    encoder = _build(saved["settings"], checkpoint.layout_of(saved))
    if str(pretrained) != "random":
        _fill(encoder, checkpoint.encoder_of(saved), source)
    return LoadedEncoder(
        encoder.eval().requires_grad_(False).to(device),
        "random" if str(pretrained) == "random" else "pretrained",
        path.parent if path.is_file() else path,
        source,
        {part: saved[part] for part in ("settings", "data", "code")},
    )


def best_device() -> torch.device:
    """A GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _build(settings: dict[str, Any], layout: Layout) -> nn.Module:
    sizes = (settings[name] for name in ("hidden_size", "num_head", "num_layer"))
    name = settings.get("encoder", methods.DEFAULT_ENCODER)
    if name not in methods.ENCODERS:
        raise CheckpointError(f"--encoder {name} of this run is not declared in net/methods.py")
    return methods.ENCODERS[name](*sizes, layout)


def _fill(encoder: nn.Module, weights: dict[str, torch.Tensor], source: Path) -> None:
    checkpoint.check_fits(encoder, weights, source)
    encoder.load_state_dict(weights)
