"""The precision of sums over many clips."""

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Convert half precision to float32. Float32 and float64 stay as they are."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
