"""The least precision in which sums over many clips are taken."""

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision as float32, anything wider as it is: double stays double."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
