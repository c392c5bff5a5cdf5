"""The padded arrays that other repositories keep a protocol in, to a packed store and back.

PART_data_joint.npy (N, C, T, V, M) = clips, xyz, frames, 25 joints, 2 bodies; PART_num_frame.npy
(N,); PART_label.pkl, the clips' names and their classes from 0. PART is train or val.
"""

import pickle
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from data_gen.preparing.files import require_space
from data_gen.preparing.store import StoreWriter
from data_gen.readers.skeleton_file import MAX_METRES, SUFFIX, SkeletonFileError, parse_name
from feeder.store import Store
from tools.cli import UserError

PARTS = ("train", "val")
PADDED_FRAMES = 300  # or more, where a clip is longer


class Part(NamedTuple):
    """One half of a protocol. data: (N, C, T, V, M), mapped; frames, labels: N integers."""

    data: np.ndarray
    frames: list[int]
    names: list[str]
    labels: list[int]


def import_arrays(folder: Path, store: StoreWriter) -> None:
    """Put the clips of both parts in a folder into a store, in order of their names.

    Only a clip's own frames are taken. Raises UserError, one line, where the arrays do not fit
    together, and where a name is none of NTU RGB+D, which setup, camera and subject come from.
    """
    parts = [read_part(folder, part) for part in PARTS]
    clips = {name: (part, i) for part in parts for i, name in enumerate(part.names)}
    if len(clips) < sum(len(part.names) for part in parts):
        raise UserError(f"{folder}: a clip's name occurs twice in its labels")
    if not clips:
        raise UserError(f"{folder}: there is no clip in either part")
    for name, (part, i) in tqdm(sorted(clips.items()), unit="clip", disable=None):
        try:
            fields = parse_name(name)
        except SkeletonFileError as error:
            raise UserError(f"{folder}: {error}") from None
        if fields.action != part.labels[i] + 1:
            raise UserError(f"{folder}: {name} has the label {part.labels[i]}")
        clip = part.data[i, :, : part.frames[i]].transpose(1, 3, 2, 0)  # (T, M, V, C)
        if not (np.abs(clip) <= MAX_METRES).all():  # nor NaN
            raise UserError(
                f"{folder}: {name} holds a coordinate that is no number up to {MAX_METRES:g} metres"
            )
        store.add(name, fields, clip)


def export_arrays(store: Store, protocol: str, folder: Path) -> None:
    """Write a store as the padded arrays of one protocol; past a clip's own frames are zeros.

    Raises StoreError where the store has no such protocol, and OSError where the disk is too small,
    before anything is written.
    """
    padded = np.zeros((3, max(PADDED_FRAMES, int(store.frames.max())), 25, 2), np.float32)
    parts = list(zip(PARTS, store.split(protocol), strict=True))
    require_space(folder, padded.nbytes * len(store.names))
    for part, rows in parts:
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(rows), *padded.shape)}
        # A stream, since a mapped file ends the process where the disk is full.
        with (folder / f"{part}_data_joint.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for row in tqdm(rows, desc=part, unit="clip", disable=None):
                start, frames = store.start[row], store.frames[row]
                padded[:, :frames] = store.joints[start : start + frames].transpose(3, 0, 2, 1)
                padded[:, frames:] = 0
                file.write(padded.astype("<f4", copy=False).data)
        np.save(folder / f"{part}_num_frame.npy", store.frames[rows])
        with (folder / f"{part}_label.pkl").open("wb") as file:
            pickle.dump(([store.names[row] for row in rows], store.label[rows].tolist()), file)


def read_part(folder: Path, part: str) -> Part:
    """Open one part. Raises UserError, one line, where a file is missing or they disagree."""
    data = _read_array(folder / f"{part}_data_joint.npy")
    if data.ndim != 5 or data.shape[1] != 3 or data.shape[3:] != (25, 2) or data.dtype.kind != "f":
        raise UserError(
            f"{folder / part}_data_joint.npy is {data.dtype} {data.shape}, not floats "
            "(N, 3, T, 25, 2)"
        )
    frames = _read_array(folder / f"{part}_num_frame.npy")
    names, labels = read_labels(folder / f"{part}_label.pkl")
    if not frames.shape == (len(data),) == (len(names),):
        raise UserError(
            f"{folder}: {part} has {len(data)} clips, {frames.size} frame counts, "
            f"{len(names)} names"
        )
    if frames.dtype.kind not in "iu" or not ((frames >= 1) & (frames <= data.shape[2])).all():
        raise UserError(f"{folder / part}_num_frame.npy: not all from 1 to {data.shape[2]}")
    return Part(data, frames.tolist(), [name.removesuffix(SUFFIX) for name in names], labels)


def _read_array(path: Path) -> np.ndarray:
    _require_file(path)
    try:
        return np.lib.format.open_memmap(path, mode="r")  # nothing but a .npy file
    except Exception as error:  # numpy raises whatever a damaged header makes it stumble over
        reason = str(error).splitlines() or [type(error).__name__]
        raise UserError(f"{path} is not a whole .npy file ({reason[0]})") from None


def _require_file(path: Path) -> None:
    if not path.is_file():  # reading a pipe would wait
        raise UserError(f"{path} is {'no file' if path.exists() else 'missing'}")


class _Plain(pickle.Unpickler):
    """Reads lists, tuples, strings and numbers; whatever would run code is refused."""

    def find_class(self, module: str, name: str):
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not loaded")


def read_labels(path: Path) -> tuple[list[str], list[int]]:
    """Names and classes in a label file, a pickle that is read without running anything.

    Raises UserError, one line, where it is missing or holds anything else.
    """
    _require_file(path)
    try:
        with path.open("rb") as file:
            names, labels = _Plain(file).load()
    except Exception as error:  # a damaged pickle raises nearly anything
        reason = str(error).splitlines() or [type(error).__name__]
        raise UserError(f"{path} does not hold names and labels ({reason[0]})") from None
    lists = all(isinstance(values, (list, tuple)) for values in (names, labels))
    if not (
        lists
        and len(names) == len(labels)
        and all(isinstance(name, str) for name in names)
        and all(type(label) is int for label in labels)
    ):
        raise UserError(f"{path} does not hold a list of names and one of as many labels")
    return list(names), list(labels)
