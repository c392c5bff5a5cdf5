"""Names of the published checkpoints' state-dict keys, and ours."""

import re
from collections.abc import Iterable

import numpy as np
import torch

MODALITY = {"j": "joint", "b": "bone", "m": "motion"}
STREAM = {"t": "temporal", "s": "spatial"}


def our_key(key: str) -> str | None:
    """Our name of a published key; None for the position encoding, which we do not save."""
    part, rest = key.removeprefix("backbone.").split(".", 1)
    if part in ("j_emb", "b_emb", "m_emb"):
        stream, rest = rest.split("_embedding.")
        return f"encoder.{STREAM[stream]}.embeddings.{MODALITY[part[0]]}.{rest}"
    if part == "mm_fusion":
        return f"encoder.{STREAM[rest[0]]}.fusion.{rest.removeprefix(rest[0] + '_fusion.0.')}"
    if part == "ma_encoder":
        if rest == "pe.pe":
            return None
        return f"encoder.{STREAM[rest[0]]}.transformer.{rest.removeprefix(rest[0] + '_tr.')}"
    return f"projectors.{MODALITY[part[0]]}.{rest}"


def our_state(golden: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """The initial weights in a reference file, under our names; half precision made single."""
    state = {our_key(key[6:]): value for key, value in golden.items() if key.startswith("state/")}
    state.pop(None)
    return {
        key: torch.from_numpy(value if value.dtype == np.int64 else value.astype(np.float32))
        for key, value in state.items()
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
