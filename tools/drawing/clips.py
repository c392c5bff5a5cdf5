"""Load the clip to draw from a raw file or from a store."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data_gen.preparing.clip import choose_slots, is_empty, prepare_clip
from data_gen.readers.skeleton_file import SkeletonFileError, read_skeleton_file
from feeder.store import Store
from tools.cli import UserError


def of_store(store: Store, name: str) -> Tensor:
    """A clip (T, M, V, C) of a store, in metres.

    Raises UserError where the store has no such clip.
    """
    if name not in store.names:
        raise UserError(
            f"{store.folder} holds no clip {name}, but {len(store.names)} others, "
            f"from {store.names[0]} to {store.names[-1]}"
        )
    return torch.from_numpy(np.array(store.clip(store.names.index(name))))


def of_recording(path: Path, *, raw: bool = False) -> Tensor:
    """The clip (T, M, V, C) of a raw file, in metres.

    raw: leave the clip as recorded; otherwise it is prepared as clips of a store are.

    The body that moves most comes first in both cases, so that each body keeps its color. Raises
    UserError where the file is malformed or shows nobody.
    """
    try:
        bodies = read_skeleton_file(path)  # (T, M, V, C)
    except SkeletonFileError as error:
        raise UserError(str(error)) from None
    present = ~is_empty(bodies, (2, 3))  # (T, M)
    if not present.any():
        raise UserError(f"{path.name} shows nobody")
    if not raw:
        return torch.from_numpy(prepare_clip(bodies))
    kept = choose_slots(bodies, present)
    others = [slot for slot in range(bodies.shape[1]) if slot not in kept]
    return torch.from_numpy(bodies[:, kept + others]).float()
