"""The reference figures under tests/golden: outputs of the published implementation."""

from pathlib import Path

import numpy as np
import torch

GOLDEN = Path(__file__).parent / "golden"
MODEL_SIZES = {
    "model_small": {"hidden_size": 16, "num_head": 1, "num_layer": 1, "projector_width": 64},
    "model_deep": {"hidden_size": 12, "num_head": 2, "num_layer": 2, "projector_width": 40},
}


def load(name: str) -> dict[str, np.ndarray]:
    """All arrays of one reference file."""
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def ours(clip: np.ndarray, dtype: type = np.float32) -> torch.Tensor:
    """Published axes (..., C, T, V, M) -> this code's (..., T, M, V, C)."""
    return torch.from_numpy(np.moveaxis(clip, (-4, -3, -2, -1), (-1, -4, -2, -3)).astype(dtype))
