"""The reference models' weights under our names, and which of their gradients are zero."""

import re
from collections.abc import Iterable

import numpy as np
import torch

from tools.formats.published_checkpoint import our_name

__all__ = ["our_name", "our_state", "zero_gradients"]


def our_state(golden: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """The initial weights in a reference file, under our names; half precision made single."""
    return {
        our_name(key[6:]): torch.from_numpy(
            value if value.dtype == np.int64 else value.astype(np.float32)
        )
        for key, value in golden.items()
        if key.startswith("state/") and not key.endswith(".pe.pe")  # which we do not save
    }


def zero_gradients(keys: Iterable[str]) -> set[str]:
    """Those of our parameters whose gradient is zero but for rounding.

    They are biases that add the same to each row of a batch norm: those of the linear layers ahead
    of it, and of the encoder's last layer norm (a maximum moves along with its arguments).
    """
    keys = list(keys)
    last = max(int(m[1]) for m in map(re.compile(r".*layers\.(\d+)\.").match, keys) if m)
    ahead = re.compile(rf"projectors\.\w+\.[03]\.bias|encoder\..*layers\.{last}\.norm2\.bias")
    return {key for key in keys if ahead.fullmatch(key)}
