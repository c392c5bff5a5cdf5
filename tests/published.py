"""The weights of the reference models under this code's names, and which gradients are zero."""

import re
from collections.abc import Iterable

import numpy as np
import torch

from tools.formats.published_checkpoint import our_name

__all__ = ["our_name", "our_state", "zero_gradients"]


def our_state(golden: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """The initial weights in a reference file, under this code's names, in float32."""
    return {
        our_name(key[6:]): torch.from_numpy(
            value if value.dtype == np.int64 else value.astype(np.float32)
        )
        for key, value in golden.items()
        if key.startswith("state/") and not key.endswith(".pe.pe")  # this code does not save it
    }


def zero_gradients(keys: Iterable[str]) -> set[str]:
    """The names of the parameters whose gradient is zero except for rounding.

    These are biases that add the same number to each row of a batch norm, which the batch norm
    subtracts: the biases of the linear layers before a batch norm, and the bias of the encoder's
    last layer norm, which the maximum over tokens passes on.
    """
    keys = list(keys)
    last = max(int(m[1]) for m in map(re.compile(r".*layers\.(\d+)\.").match, keys) if m)
    ahead = re.compile(rf"projectors\.\w+\.[03]\.bias|encoder\..*layers\.{last}\.norm2\.bias")
    return {key for key in keys if ahead.fullmatch(key)}
