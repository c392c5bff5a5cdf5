"""Write the clips of a store as arrays of other codes, each clip padded to the same length."""

import io
from collections.abc import Callable, Sequence

import numpy as np
from tqdm import tqdm

from feeder.skeletons import NTU
from feeder.store import Store
from tools.cli import UserError

LEAST_FRAMES = 300  # of a padded clip, as other codes have it; longer where a clip is longer


def require_ntu_bodies(store: Store) -> None:
    """Raise UserError unless the frames of a store are two bodies of 25 joints."""
    if store.layout.frame_shape != NTU.frame_shape:
        raise UserError(f"{store.folder} holds {store.layout}; the format has two bodies of 25")


def padded_shape(store: Store) -> tuple[int, ...]:
    """The shape (T, M, V, C) of every padded clip of a store."""
    return max(LEAST_FRAMES, int(store.length.max())), *store.layout.frame_shape


def padded_size(store: Store) -> int:
    """Bytes that all padded clips of a store take."""
    return 4 * len(store.names) * int(np.prod(padded_shape(store)))


def write_padded(
    file: io.BufferedIOBase,
    store: Store,
    rows: Sequence[int],
    arrange: Callable[[np.ndarray], np.ndarray],
    *,
    title: str,
) -> None:
    """Write some clips of a store as one array (N, ...) float32, in the form of a .npy file.

    The file is written as a stream: a full disk under a mapped file would end the process.

    file: open for writing.
    rows: N rows of the store.
    arrange: brings a padded clip (T, M, V, C) into the format's order.
    title: of the progress bar.
    """
    padded = np.zeros(padded_shape(store), "<f4")
    header = {
        "descr": "<f4",
        "fortran_order": False,
        "shape": (len(rows), *arrange(padded).shape),
    }
    np.lib.format.write_array_header_1_0(file, header)
    for row in tqdm(rows, desc=title, unit="clip", disable=None):
        clip = store.clip(row)
        padded[: len(clip)] = clip
        padded[len(clip) :] = 0
        file.write(np.ascontiguousarray(arrange(padded)).data)
