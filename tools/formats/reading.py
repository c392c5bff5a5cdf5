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
pyskl and mmaction2: a .pkl file, a dict
    split                 {'xsub_train': names, 'xsub_val': names, ...}
    annotations           a list of {'frame_dir': name, 'label': from 0, 'keypoint': (M, T, 25, 3)
                          in metres, 'total_frames': T}
What `tools.convert` exported also holds a store.json and a samples.csv, with the clips in the order
of the file, so that an import restores the store to the bit. Nothing in a pickle is run.
"""

import csv
import math
import os
import re
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from common import UserError
from data_gen.readers.skeleton_file import SUFFIX
from feeder.datasets.ntu import DATASETS
from feeder.description import FIELDS, Description
from feeder.skeletons import NTU
from tools.formats.pickles import read_pickle

PARTS, HALVES = ("train", "val"), ("train", "test")
OWN = ("store.json", "samples.csv")
SHORT = {"cross_subject": "xsub", "cross_view": "xview", "cross_setup": "xset"}  # pyskl's names
LOOKED_AT = 200  # clips whose first frame is examined
AWAY = 16.0  # metres; farther than any body is from another
# Protocol -> words for it in the names of files.
_WORDS = {
    "cross_subject": ("cs", "csub", "xsub", "subject"),
    "cross_view": ("cv", "cview", "xv", "xview", "view"),
    "cross_setup": ("cset", "csetup", "xset", "xsetup", "setup"),
}
Row = tuple[str, tuple[int, ...], tuple[int, ...]]  # of samples.csv: name, FIELDS, more columns


@dataclass(frozen=True)
class Source:
    """The N clips of a file or of a folder of files, in the order of the file.

    kind: what the file is, in words.
    labels: (N,) int64, classes from 0.
    read: number of a clip -> its joints (T, M, V, C) in metres; T is 0 where the clip shows nobody.
    names: N names, or None where the file has none.
    training: {protocol: (N,) bool, which clips train}, as the file says.
    num_classes: classes of the data set; None where the file does not tell.
    prepared: whether the coordinates have the method's normalization; else they are a camera's.
    own: what `tools.convert` added to the file; None where other code wrote it.
    """

    path: Path
    kind: str
    labels: np.ndarray
    read: Callable[[int], np.ndarray]
    names: list[str] | None
    training: dict[str, np.ndarray]
    num_classes: int | None = None
    prepared: bool = False
    own: tuple[Description, list[Row]] | None = None


def open_source(path: Path, scratch: Path, protocol: str | None = None) -> Source:
    """Open the clips of a file or folder.

    scratch: a folder for temporary copies of compressed arrays.
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
            return _open_npz(path, scratch, protocol)
        if path.suffix in (".pkl", ".pickle"):
            return _open_pkl(path)
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


class Rows:
    """An array of floats in a file; `rows[i]` reads one row, so that memory stays flat."""

    def __init__(self, file: BinaryIO, start: int = 0):
        """file: open; a .npy file begins at `start`."""
        file.seek(start)
        version = np.lib.format.read_magic(file)
        read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
        self.shape, by_column, self.dtype = read[version[0]](file)
        self._file, self._start = file, file.tell()
        self._bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        if by_column or self.dtype.kind != "f":
            raise ValueError(f"{self.dtype} {self.shape} are not floats, row by row")
        if os.fstat(file.fileno()).st_size < self._start + len(self) * self._bytes:
            raise ValueError(f"the file is shorter than its {self.shape}")

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, row: int) -> np.ndarray:
        self._file.seek(self._start + row * self._bytes)
        return np.frombuffer(self._file.read(self._bytes), self.dtype).reshape(self.shape[1:])


def _pick(halves: list[Rows], row: int) -> np.ndarray:
    first = len(halves[0])
    return halves[0][row] if row < first else halves[1][row - first]


def _own_frames(joints: np.ndarray) -> np.ndarray:
    """A clip (T, M, V, C) without the zero frames that pad its end."""
    filled = np.flatnonzero(joints.reshape(len(joints), -1).any(1))
    return joints[: filled[-1] + 1 if len(filled) else 0]


def _open_arrays(folder: Path, form: str) -> Source:
    data = [Rows((folder / f"{part}{form}").open("rb")) for part in PARTS]
    count, texts = sum(map(len, data)), [folder / name for name in OWN]
    own = _read_own(*(t.read_text("utf-8") for t in texts)) if texts[0].exists() else None

    def padded(row: int) -> np.ndarray:
        return _pick(data, row).transpose(1, 3, 2, 0)  # (C, T, V, M) -> (T, M, V, C)

    # This check comes first: arrays that are turned have other labels and counts, or no counts.
    if own is None:
        _refuse_turned(folder, count, padded)
    names, labels = [], []
    for part in PARTS:
        part_names, part_labels = read_pickle(folder / f"{part}_label.pkl")
        names += [name.removesuffix(SUFFIX) for name in part_names]
        labels += map(int, part_labels)
    if not count == len(names) == len(labels):
        raise UserError(f"{folder}: {count} clips, {len(names)} names, {len(labels)} labels")
    labels = np.array(labels, np.int64)
    if form == "_data.npy":
        kind = "ST-GCN's or CrosSCLR's arrays"
        return Source(folder, kind, labels, lambda row: _own_frames(padded(row)), names, {})
    counts = [np.load(folder / f"{part}_num_frame.npy", allow_pickle=False) for part in PARTS]
    frames = np.concatenate(counts)
    if len(frames) != count or frames.dtype.kind not in "iu" or (frames < 1).any():
        raise UserError(f"{folder}: num_frame.npy does not count the frames of {count} clips")

    def read(row: int) -> np.ndarray:
        return padded(row)[: frames[row]]

    kind = "UmURL's or USDRL's arrays"
    return Source(folder, kind, labels, read, names, {}, prepared=True, own=own)


def _open_npz(path: Path, scratch: Path, protocol: str | None) -> Source:
    with np.load(path, allow_pickle=False) as arrays:
        if damaged := arrays.zip.testzip():
            raise UserError(f"{path}: the checksum of {damaged} is wrong; copy the file again")
        y = np.concatenate([arrays[f"y_{half}"] for half in HALVES])
        texts = [bytes(arrays[name]).decode() for name in ("store", "samples") if name in arrays]
        x = [_open_member(path, arrays.zip, f"x_{half}.npy", scratch) for half in HALVES]
    count, own = len(x[0]) + len(x[1]), _read_own(*texts) if texts else None
    if len(y) != count or not ((y == 1).sum(1) == 1).all() or (y != 0).sum() != count:
        raise UserError(f"{path}: y_train and y_test are not one-hot, with a row for each clip")

    def read(row: int) -> np.ndarray:
        clip = _own_frames(_pick(x, row).reshape(-1, *NTU.frame_shape))
        # The file has each clip's first spine at the origin, and the other joints around it. But
        # the preparation takes joints whose coordinates sum to zero for joints without a position.
        there = clip.any((2, 3), keepdims=True)  # (T, 2, 1, 1)
        # In float64, so that nothing is rounded.
        return clip if own else clip + there * np.array([0.0, 0.0, AWAY])

    if not own:
        _refuse_turned(path, count, read)
        protocol = protocol or _protocol_of(path, (len(x[0]), len(x[1])))
    return Source(
        path,
        f"CTR-GCN's or MAMP's arrays of {y.shape[1]} classes",
        y.argmax(1),
        read,
        None,
        {protocol: np.arange(count) < len(x[0])},
        num_classes=y.shape[1],
        prepared=own is not None,
        own=own,
    )


def _open_member(path: Path, archive: zipfile.ZipFile, name: str, scratch: Path) -> Rows:
    # numpy reads a member whole, whatever `mmap_mode` says. A compressed one is unpacked.
    entry = archive.getinfo(name)
    if entry.compress_type == zipfile.ZIP_STORED:
        file = path.open("rb")
        file.seek(entry.header_offset + 26)  # lengths of the name and of the extra field
        return Rows(file, entry.header_offset + 30 + sum(struct.unpack("<HH", file.read(4))))
    unpacked = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115  the rows are read from it
    with archive.open(entry) as content:
        shutil.copyfileobj(content, unpacked)
    unpacked.flush()
    return Rows(unpacked)


def _open_pkl(path: Path) -> Source:
    content = read_pickle(path)
    annotations = content["annotations"]
    names = [clip["frame_dir"].removesuffix(SUFFIX) for clip in annotations]
    own = _read_own(content["store"], content["samples"]) if "store" in content else None

    def read(row: int) -> np.ndarray:
        bodies = annotations[row]["keypoint"]  # (M, T, V, C)
        clip = np.zeros((annotations[row]["total_frames"], *NTU.frame_shape), bodies.dtype)
        clip[:, : len(bodies)] = bodies.transpose(1, 0, 2, 3)
        return clip

    if not own:
        _refuse_turned(path, len(names), read)
    training = {}
    for protocol, short in SHORT.items():
        listed = (content["split"].get(f"{short}_{part}", ()) for part in PARTS)
        train, test = ({name.removesuffix(SUFFIX) for name in half} for half in listed)
        if train & test:
            raise UserError(f"{path}: {min(train & test)} is in both halves of {short}")
        if train and set(names) <= train | test:
            training[protocol] = np.array([name in train for name in names])
    labels = np.array([int(clip["label"]) for clip in annotations], np.int64)
    kind, prepared = "pyskl's or mmaction2's skeletons", own is not None
    return Source(path, kind, labels, read, names, training, prepared=prepared, own=own)


def _read_own(store: str, samples: str) -> tuple[Description, list[Row]]:
    _, *lines = csv.reader(samples.splitlines())
    rows = [(name, tuple(map(int, values))) for name, *values in lines]
    cut = len(FIELDS)
    return Description.from_json(store), [(name, v[:cut], v[cut:]) for name, v in rows]


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


def _refuse_turned(path: Path, count: int, read: Callable[[int], np.ndarray]) -> None:
    """Raise UserError where the main body's spine lies along z in the clips' first frames.

    In a camera's coordinates the spine lies along y. The method turns a clip by the line of the
    shoulders only, so the spine stays along y. Other codes turn the spine onto z; the angle is
    lost.
    """
    rows = np.unique(np.linspace(0, count - 1, min(count, LOOKED_AT)).astype(int)) if count else []
    clips = [clip for clip in map(read, rows) if len(clip)]
    spines = [clip[0, 0, 0].astype(float) - clip[0, 0, 1] for clip in clips]  # base from middle
    along_z = [spine[2] < -0.7 * np.linalg.norm(spine) for spine in spines]
    if spines and np.mean(along_z) > 0.75:
        raise UserError(
            f"{path}: the spine lies along z in {sum(along_z)} of {len(spines)} clips, so other "
            "code (as AGCN, skeleton-contrast, CMD, HiCo) has turned them, which cannot be undone; "
            "take UmURL's or USDRL's arrays, CTR-GCN's, pyskl's, or raw files"
        )
