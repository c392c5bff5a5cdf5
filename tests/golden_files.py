"""The reference figures under tests/golden: outputs of the published implementation."""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from net.umurl import UmURL
from tools.formats.published_checkpoint import our_name

GOLDEN = Path(__file__).parent / "golden"
CLOSE = {"rtol": 1e-4, "atol": 1e-6}  # of outputs
MODEL_SIZES = {
    "model_small": {"hidden_size": 16, "num_head": 1, "num_layer": 1, "projector_width": 64},
    "model_deep": {"hidden_size": 12, "num_head": 2, "num_layer": 2, "projector_width": 40},
}


def load(name: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def ours(clip: np.ndarray, dtype: type = np.float32) -> torch.Tensor:
    """Published axes (..., C, T, V, M) -> this code's (..., T, M, V, C)."""
    return torch.from_numpy(np.moveaxis(clip, (-4, -3, -2, -1), (-1, -4, -2, -3)).astype(dtype))


def golden_model(name: str) -> tuple[dict[str, np.ndarray], UmURL, torch.Tensor]:
    """The figures, the network at its first weights, the views (steps, 4, B, T, M, V, C)."""
    golden, model = load(name), UmURL(**MODEL_SIZES[name])
    del golden["state/backbone.ma_encoder.pe.pe"]  # the position encoding is no weight here
    model.load_state_dict({k: torch.from_numpy(v) for k, v in of(golden, "state/").items()})
    views = torch.stack([ours(golden[f"view{i}"]) for i in (1, 2, 3, 4)], dim=1)
    return golden, model, views


def of(golden: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays of a file with a prefix, under this code's names of weights."""
    return {our_name(k.removeprefix(prefix)): v for k, v in golden.items() if k.startswith(prefix)}


def zero_gradients(keys: Iterable[str]) -> set[str]:
    """The parameters whose gradient is zero except for rounding: a batch norm subtracts them.

    These are the biases of linear layers before a batch norm and of the encoder's last layer norm.
    """
    keys = list(keys)
    last = max(int(m[1]) for m in map(re.compile(r".*layers\.(\d+)\.").match, keys) if m)
    ahead = re.compile(rf"projectors\.\w+\.[03]\.bias|encoder\..*layers\.{last}\.norm2\.bias")
    return {key for key in keys if ahead.fullmatch(key)}
