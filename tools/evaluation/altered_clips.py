"""Test clips that are incomplete: only their beginning, or without some joints or frames."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from feeder.batches import Clips, load_clips, whole_clips
from feeder.store import Store
from tools import cli


class Alteration(NamedTuple):
    """What is removed from each clip.

    kind: `observe`: only the beginning of the clip is kept. `drop_joints`: some joints are moved to
        the origin. `drop_frames`: some frames are left out.
    amount: `observe`: the share of the frames that is kept. `drop_joints`: the number of joints.
        `drop_frames`: the share of the frames that is left out.
    """

    kind: str
    amount: float


# kind -> label of the amounts in a picture
KINDS = {
    "observe": "observed share of each clip",
    "drop_joints": "joints that are missing",
    "drop_frames": "share of frames that are missing",
}


def check(store: Store, curves: Mapping[str, Sequence[float]]) -> None:
    """Raise UserError where a curve removes more joints than a body has.

    curves: {kind: amounts}.
    """
    most, joints = max(curves.get("drop_joints", [0])), store.joints.shape[2]
    if most > joints:
        raise cli.UserError(f"--drop-joints {most:g} is more than the {joints} joints of a body")


def load_altered(
    store: Store, rows: np.ndarray, device: torch.device, alteration: Alteration | None
) -> Tensor:
    """Load some clips of a store, altered, as the evaluation sees them: (n, T, M, V, C).

    rows: of the store.
    alteration: what is removed; None: whole clips.

    What is removed is drawn by a generator that the row seeds. So it is the same in every batch,
    and a larger amount removes what a smaller amount removes, and more.
    """
    if alteration is None:
        return whole_clips(store, rows, device)
    kind, amount = alteration
    if kind == "observe":
        clips = load_clips(store, rows, device)
        return clips._replace(length=(clips.length * amount).ceil().long()).resized()
    if kind == "drop_frames":
        return _fewer_frames(store, rows, amount, device).resized()
    views = whole_clips(store, rows, device)
    order = np.stack([_rng(row).permutation(views.shape[3]) for row in rows])  # (n, V)
    kept = torch.from_numpy(order >= amount).to(device)
    return views * kept[:, None, None, :, None]


def _fewer_frames(store: Store, rows: np.ndarray, share: float, device: torch.device) -> Clips:
    kept = []
    for row in rows:
        count = int(store.length[row])
        order = _rng(row).permutation(count)[: max(1, round(count * (1 - share)))]
        kept.append(store.start[row] + np.sort(order))
    length = np.array([len(frames) for frames in kept])
    tensors = (store.joints[np.concatenate(kept)], np.cumsum(length) - length, length)
    return Clips(*(torch.from_numpy(np.asarray(part)).to(device) for part in tensors))


def _rng(row: int) -> np.random.Generator:
    return np.random.default_rng([int(row), 3])
