"""What each shortcut of the network gains: the time of a step with it and with the plain version.

A shortcut that gains nothing should be removed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

from net import losses
from net.encoder import TransformerLayer
from net.umurl import UmURL
from tools.benchmark.measure import Row, take_turns
from tools.benchmark.sizes import Size
from tools.benchmark.step import Given, random_views, stepper
from tools.training.distributed import Process


def plain_attention(layer: TransformerLayer, x: Tensor) -> Tensor:
    """Attention of one head by the textbook's four linear maps: (N, L, H) -> (N, L, H)."""
    weights = layer.self_attn
    packed = F.linear(x, weights.in_proj_weight, weights.in_proj_bias)
    query, key, value = packed.chunk(3, dim=-1)
    scores = (query * weights.head_dim**-0.5) @ key.mT  # (N, L, L)
    return weights.out_proj(scores.softmax(-1) @ value)


def plain_terms(z: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    """The variance and the covariance term with gradients by autograd: (..., n, D) -> (...)."""
    n, width = z.shape[-2:]
    centered = z - z.mean(-2, keepdim=True)
    squares = centered.square().sum(-2)  # (..., D)
    variance = F.relu(1 - torch.sqrt(squares / (n - 1) + 1e-4)).mean(-1)
    gram = centered @ centered.mT if n <= width else centered.mT @ centered
    off_diagonal = gram.square().sum((-2, -1)) - squares.square().sum(-1)
    return variance, off_diagonal / ((n - 1) ** 2 * width)


# Shortcut -> the object that has it, the name of its attribute, the plain version.
PLAIN: dict[str, tuple[Any, str, Callable]] = {
    "attention by two maps": (TransformerLayer, "attend_with_one_head", plain_attention),
    "gradients in closed form": (losses._VarianceCovariance, "apply", plain_terms),
}


def without(shortcut: str):
    """A context in which the plain version replaces a shortcut."""
    owner, name, plain = PLAIN[shortcut]
    return mock.patch.object(owner, name, plain)


def measure(size: Size, device: torch.device, scratch: Path, data_path: Path | None) -> list[Row]:
    """Measure a float32 step of the first model with all shortcuts, and without each of them."""
    hidden, batch = size.models[0]
    model = UmURL(hidden, projector_width=size.width).to(device)
    step = stepper(model, Process(0, 1, device), None)
    given = Given(random_views(batch, device), [batch])

    def plainly(shortcut: str) -> None:
        with without(shortcut):
            step(given)

    calls = {name: lambda name=name: plainly(name) for name in PLAIN}
    times = take_turns({"ours": lambda: step(given), **calls}, 3 * size.repeats, device)
    case = f"hidden {hidden}, batch {batch}, without"
    rows = []
    for name in PLAIN:
        facts = {"times_as_long": times[name].seconds / times["ours"].seconds}
        rows.append(Row("shortcuts", f"{case} {name}", batch, times["ours"], times[name], facts))
    return rows
