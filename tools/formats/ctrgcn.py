"""The .npz files of CTR-GCN and its successors (InfoGCN, HD-GCN, MAMP, STARS, MacDiff), both ways.

    x_train, x_test   (N, T, 150) float32 = clips, frames, (body, joint, xyz) in metres, zero after
                      the last frame of a clip
    y_train, y_test   (N, K), one-hot
There is one file for each protocol, and it holds no names. A file that this code wrote has two more
arrays, which other codes ignore: `store` and `samples`, see `foreign_clips.own_texts`.
"""

import zipfile
from pathlib import Path

import numpy as np

from data_gen.preparing.files import require_space
from feeder.skeletons import NTU
from feeder.store import Store
from tools.cli import UserError
from tools.formats.array_files import Rows, open_npz
from tools.formats.foreign_clips import Own, Source, own_frames, own_texts, protocol_of, read_own
from tools.formats.padding import padded_size, require_ntu_bodies, write_padded

HALVES = ("train", "test")
WIDTH = NTU.frame_size
AWAY = 16.0  # metres; farther than any body is from another
MOST_TEXT = 2**28  # bytes that are read of a text


def read_npz(path: Path, scratch: Path, protocol: str | None) -> Source:
    """Open a file of clips. Raises UserError where it is no such file.

    path: the .npz file.
    scratch: a folder for temporary copies of compressed arrays.
    protocol: which protocol the halves of the file are; None: the file's name or its number of
        clips tells.
    """
    arrays = open_npz(path, [f"{x}_{half}" for half in HALVES for x in "xy"], scratch)
    data, onehot = arrays[0::2], arrays[1::2]
    for half, x, y in zip(HALVES, data, onehot, strict=True):
        if len(x.shape) != 3 or x.shape[2] != WIDTH or x.dtype.kind != "f":
            raise UserError(
                f"{path}: x_{half} is {x.dtype} {x.shape}, not floats (N, T, {WIDTH}) of two "
                "bodies of 25 joints"
            )
        if len(y.shape) != 2 or len(y) != len(x) or y.shape[1] != onehot[0].shape[1]:
            raise UserError(f"{path}: y_{half} is {y.shape}, which is not a row for each clip")
    labels = [_labels(y, f"{path}: y_{half}") for half, y in zip(HALVES, onehot, strict=True)]
    classes, counts = onehot[0].shape[1], tuple(map(len, data))

    def read(row: int) -> np.ndarray:
        half, row = (0, row) if row < counts[0] else (1, row - counts[0])
        (clip,) = data[half][row : row + 1]  # (T, 150)
        clip = own_frames(clip.reshape(len(clip), *NTU.frame_shape))
        return clip if own else _moved_away(clip)

    own = _own(path, scratch)
    protocol = protocol or (own is None and protocol_of(path, counts))
    training = {protocol: np.arange(sum(counts)) < counts[0]} if protocol else {}
    kind = f"CTR-GCN's or MAMP's arrays of {classes} classes"
    return Source(
        *(path, kind, np.concatenate(labels), read, None, classes, training),
        prepared=own is not None,
        own=own,
    )


def _moved_away(clip: np.ndarray) -> np.ndarray:
    """A clip (T, 2, 25, 3) with its bodies AWAY from the origin, as they are from a camera.

    The file has each clip's first spine at the origin, and the other joints around it. But the
    preparation takes joints whose coordinates sum to zero for joints without a position.
    """
    there = clip.any((2, 3), keepdims=True)  # (T, 2, 1, 1)
    return clip + there * np.array([0.0, 0.0, AWAY])  # float64, so that nothing is rounded


def _labels(onehot: Rows, where: str) -> np.ndarray:
    labels = [np.zeros(0, np.int64)]
    for block in onehot.blocks():
        labels.append(block.argmax(1) if block.shape[1] else np.zeros(0, np.int64))
        if not ((block != 0).sum(1) == 1).all() or not (block.max(1) == 1).all():
            raise UserError(f"{where} is not one-hot: each row has a single 1, else zeros")
    return np.concatenate(labels)


def _own(path: Path, scratch: Path) -> Own | None:
    with zipfile.ZipFile(path) as archive:
        if "store.npy" not in archive.namelist():
            return None
    texts = open_npz(path, ["store", "samples"], scratch)
    return read_own(*(rows[:MOST_TEXT].tobytes().decode(errors="replace") for rows in texts), path)


def write_npz(store: Store, protocol: str, path: Path) -> None:
    """Write a store as a .npz file of one protocol; coordinates stay as they are in the store.

    path: must not exist yet.
    Raises StoreError where the store has no such protocol, UserError where its frames are not two
    bodies of 25 joints, and OSError where the disk is too small. Nothing is written before.
    """
    require_ntu_bodies(store)
    halves = dict(zip(HALVES, store.split(protocol), strict=True))
    require_space(path, padded_size(store))
    texts = own_texts(store, np.concatenate(list(halves.values())))
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        for half, rows in halves.items():
            with archive.open(f"x_{half}.npy", "w", force_zip64=True) as file:
                write_padded(file, store, rows, _to_rows, title=half)
            with archive.open(f"y_{half}.npy", "w") as file:
                np.save(file, np.eye(store.num_classes)[store.label[rows]])
        for name, text in zip(("store", "samples"), texts, strict=True):
            with archive.open(f"{name}.npy", "w") as file:
                np.save(file, np.frombuffer(text.encode(), np.uint8))


def _to_rows(clip: np.ndarray) -> np.ndarray:
    return clip.reshape(len(clip), WIDTH)  # (T, M, V, C) -> (T, M·V·C)
