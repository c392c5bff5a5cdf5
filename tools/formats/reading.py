"""Open the clips of other codes' files.

UmURL and USDRL: a folder with prepared coordinates; PART is `train` or `val`
    PART_data_joint.npy   (N, C, T, V, M) = clips, xyz, frames, 25 joints, 2 bodies
    PART_num_frame.npy    (N,), frames of each clip
    PART_label.pkl        names of the clips, and their classes from 0
ST-GCN and CrosSCLR: a folder with coordinates of a camera, in metres
    PART_data.npy         (N, C, T, V, M), zero after the last frame of a clip
    PART_label.pkl        as above
CTR-GCN, InfoGCN, HD-GCN, MAMP, STARS, MacDiff: an .npz file of one protocol, without names
    x_train, x_test       (N, T, 150) = clips, frames, (body, joint, xyz), zero after the last frame
    y_train, y_test       (N, K), one-hot
pyskl and mmaction2: a .pkl file, see `pyskl`
What `tools.convert` exported also holds a store.json and a samples.csv, with the clips in the order
of the file, so that an import restores the store to the bit. Nothing in a pickle is run.
"""

import re
import struct
import zipfile
from pathlib import Path

import numpy as np

from common import UserError
from data_gen.readers.skeleton_file import SUFFIX
from feeder.datasets.ntu import DATASETS
from feeder.skeletons import NTU
from tools.formats.pickles import read_pickle
from tools.formats.pyskl import open_pkl
from tools.formats.source import OWN, Source, read_own, refuse_turned

PARTS, HALVES = ("train", "val"), ("train", "test")
AWAY = 16.0  # metres; farther than any body is from another
# Protocol -> words for it in the names of files.
_WORDS = {
    "cross_subject": ("cs", "csub", "xsub", "subject"),
    "cross_view": ("cv", "cview", "xv", "xview", "view"),
    "cross_setup": ("cset", "csetup", "xset", "xsetup", "setup"),
}


def open_source(path: Path, protocol: str | None = None) -> Source:
    """Open the clips of a file or folder.

    protocol: which protocol the halves of an .npz file are; None: the file's name or its number of
        clips tells.
    Raises UserError where the format is unknown, where the file is damaged, or where its clips
    cannot be brought to the method's normalization.
    """
    names = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else [path.name]
    kinds = {name.removeprefix("train").removeprefix("val") for name in names}
    try:
        for form in ("_data_joint.npy", "_data.npy"):
            if path.is_dir() and form in kinds:
                return _open_arrays(path, form)
        if path.suffix == ".npz":
            return _open_npz(path, protocol)
        if path.suffix in (".pkl", ".pickle"):
            return open_pkl(path)
    except (UserError, OSError):
        raise
    except Exception as error:  # a damaged file can make a reader raise nearly any error
        what = f"{type(error).__name__}: {error}"
        raise UserError(f"{path} is damaged, or not what its name says ({what:.200})") from error
    if "_position.npy" in kinds:
        raise UserError(
            f"{path}: AimCLR's *_position.npy cannot be imported, since each body was moved and "
            "turned by itself in each frame; take the arrays that they were made from"
        )
    inner = [name for name in names if list((path / name).glob("*_data*.npy"))]
    hint = f"; name one of its folders {', '.join(inner)}" if inner else ""
    raise UserError(
        f"{path} is no folder of UmURL's, USDRL's, ST-GCN's or CrosSCLR's arrays, no .npz of "
        f"CTR-GCN or MAMP and no .pkl of pyskl{hint}"
    )


def _map(path: Path, start: int = 0) -> np.memmap:
    """Map the array of floats in a .npy file, which begins at `start`. See `_row`."""
    with path.open("rb") as file:
        file.seek(start)
        np.lib.format.read_magic(file)
        shape, by_column, dtype = np.lib.format.read_array_header_1_0(file)
        if by_column or dtype.kind != "f":
            raise ValueError(f"{dtype} {shape} are not floats, row by row")
        return np.memmap(path, dtype, "r", file.tell(), shape)


def _row(halves: list[np.ndarray], row: int) -> np.ndarray:
    first = len(halves[0])
    array, row = (halves[0], row) if row < first else (halves[1], row - first)
    if not isinstance(array, np.memmap):
        return array[row]
    # Pages that are read through the mapping would count as memory of this process.
    size, start = array[0].size, array.offset + row * array[0].nbytes
    return np.fromfile(array.filename, array.dtype, size, offset=start).reshape(array.shape[1:])


def _own_frames(joints: np.ndarray) -> np.ndarray:
    """A clip (T, M, V, C) without the zero frames that pad its end."""
    filled = np.flatnonzero(joints.reshape(len(joints), -1).any(1))
    return joints[: filled[-1] + 1 if len(filled) else 0]


def _open_arrays(folder: Path, form: str) -> Source:
    data = [_map(folder / f"{part}{form}") for part in PARTS]
    count, texts = sum(map(len, data)), [folder / name for name in OWN.values()]
    own = read_own(*(t.read_text("utf-8") for t in texts)) if texts[0].exists() else None
    _, _, _, joints, bodies = data[0].shape

    def padded(row: int) -> np.ndarray:
        return _row(data, row).transpose(1, 3, 2, 0)  # (C, T, V, M) -> (T, M, V, C)

    prepared = form == "_data_joint.npy"
    # This check comes first: arrays that are turned have other labels and counts, or no counts.
    if prepared and own is None:
        refuse_turned(folder, count, padded)
    names, labels = [], []
    for part in PARTS:
        part_names, part_labels = read_pickle(folder / f"{part}_label.pkl")
        names += [name.removesuffix(SUFFIX) for name in part_names]
        labels += map(int, part_labels)
    if not count == len(names) == len(labels):
        raise UserError(f"{folder}: {count} clips, {len(names)} names, {len(labels)} labels")
    if prepared:
        counts = [np.load(folder / f"{part}_num_frame.npy", allow_pickle=False) for part in PARTS]
        frames = np.concatenate(counts)
        if len(frames) != count or frames.dtype.kind not in "iu" or (frames < 1).any():
            raise UserError(f"{folder}: num_frame.npy does not count the frames of {count} clips")

    def read(row: int) -> np.ndarray:
        return padded(row)[: frames[row]] if prepared else _own_frames(padded(row))

    return Source(
        folder,
        "UmURL's or USDRL's arrays" if prepared else "ST-GCN's or CrosSCLR's arrays",
        np.array(labels, np.int64),
        read,
        (bodies, joints),
        {"split": (np.arange(count) < len(data[0])).astype(int)},
        names,
        prepared=prepared,
        own=own,
    )


def _open_npz(path: Path, protocol: str | None) -> Source:
    with np.load(path, allow_pickle=False) as arrays:
        if damaged := arrays.zip.testzip():
            raise UserError(f"{path}: the checksum of {damaged} is wrong; copy the file again")
        y = np.concatenate([arrays[f"y_{half}"] for half in HALVES])
        texts = [bytes(arrays[name]).decode() for name in OWN if name in arrays]
        x = [_open_member(path, arrays, f"x_{half}") for half in HALVES]
    count, own = len(x[0]) + len(x[1]), read_own(*texts) if texts else None
    if len(y) != count or not ((y == 1).sum(1) == 1).all() or (y != 0).sum() != count:
        raise UserError(f"{path}: y_train and y_test are not one-hot, with a row for each clip")

    def read(row: int) -> np.ndarray:
        clip = _own_frames(_row(x, row).reshape(-1, *NTU.frame_shape))
        # The file has each clip's first spine at the origin, and the other joints around it. But
        # the preparation takes joints whose coordinates sum to zero for joints without a position.
        there = clip.any((2, 3), keepdims=True)  # (T, 2, 1, 1)
        # In float64, so that nothing is rounded.
        return clip if own else clip + there * np.array([0.0, 0.0, AWAY])

    if not own:
        protocol = protocol or _protocol_of(path, (len(x[0]), len(x[1])))
    return Source(
        path,
        f"CTR-GCN's or MAMP's arrays of {y.shape[1]} classes",
        y.argmax(1),
        read,
        NTU.frame_shape[:2],
        {protocol: (np.arange(count) < len(x[0])).astype(int)},
        num_classes=y.shape[1],
        prepared=own is not None,
        own=own,
    )


def _open_member(path: Path, arrays: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    # numpy reads a member as a whole, whatever `mmap_mode` says.
    entry = arrays.zip.getinfo(f"{name}.npy")
    if entry.compress_type != zipfile.ZIP_STORED:
        return arrays[name]
    with path.open("rb") as file:
        file.seek(entry.header_offset + 26)
        lengths = struct.unpack("<HH", file.read(4))  # of the name and of the extra field
    return _map(path, entry.header_offset + 30 + sum(lengths))


def _protocol_of(path: Path, counts: tuple[int, int]) -> str:
    # The numbers of training and test clips tell it, or the name of a file such as NTU60_CS.npz.
    for description in DATASETS.values():
        for protocol, official in description.official.items():
            if counts == official:
                return protocol
    words = re.split(r"[^a-z]+", f"{path.absolute().parent.name} {path.stem}".lower())
    found = [p for word in words for p, names in _WORDS.items() if word in names]
    if not found:
        raise UserError(f"{path}: its name does not tell its split; name it with --protocol")
    return found[-1]
