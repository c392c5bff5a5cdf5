"""Moved to tools.training.checkpoint."""

import torch
from torch import Tensor, nn

from tools.training.checkpoint import (  # noqa: F401
    FORMAT,
    VERSION,
    CheckpointError,
    check_fits,
    code_facts,
    encoder_of,
    in_folder,
    layout_of,
    load,
    newest,
    not_finite,
    path_of,
    position,
    save,
    write,
)
from tools.training.checkpoint import PARTS as _PARTS

MAX_EPOCH = 10**9 - 1
PARTS = dict.fromkeys(_PARTS, dict)
AVERAGE = "average"


def is_plain(value) -> bool:
    if isinstance(value, list):
        return all(item is None or isinstance(item, (int, float, str)) for item in value)
    return value is None or isinstance(value, (int, float, str))


def is_weight(value) -> bool:
    return (
        type(value) in (Tensor, nn.Parameter)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and 0 < value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    )
