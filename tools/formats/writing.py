"""Write a store in the formats of other codes, which `reading` describes.

The coordinates are those of the store: the main body's spine at the origin, the shoulders of the
first frame along x. All functions raise UserError where a frame is not two bodies of 25 joints, or
where the store has no such protocol.
"""

import csv
import io
import pickle
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from common import UserError
from feeder.description import FIELDS
from feeder.skeletons import NTU
from feeder.store import Store
from tools.formats.pyskl import SHORT
from tools.formats.reading import HALVES, PARTS
from tools.formats.source import OWN

LEAST_FRAMES = 300  # of a padded clip, as other codes have it; longer where a clip is longer


def write_arrays(store: Store, protocol: str, folder: Path) -> None:
    """Write UmURL's arrays of one protocol into a new folder."""
    halves = _halves(store, protocol)
    folder.mkdir()
    for part, rows in zip(PARTS, halves, strict=True):
        with (folder / f"{part}_data_joint.npy").open("wb") as file:
            _write_padded(file, store, rows, lambda clip: clip.transpose(3, 0, 2, 1))  # (C,T,V,M)
        np.save(folder / f"{part}_num_frame.npy", store.length[rows])
        with (folder / f"{part}_label.pkl").open("wb") as file:
            pickle.dump(([store.names[row] for row in rows], store.label[rows].tolist()), file)
    for name, text in _own_texts(store, np.concatenate(halves)).items():
        (folder / OWN[name]).write_text(text, encoding="utf-8")


def write_npz(store: Store, protocol: str, path: Path) -> None:
    """Write CTR-GCN's file of one protocol."""
    halves = _halves(store, protocol)
    texts = _own_texts(store, np.concatenate(halves))
    arrays = {name: np.frombuffer(text.encode(), np.uint8) for name, text in texts.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for half, rows in zip(HALVES, halves, strict=True):
            with archive.open(f"x_{half}.npy", "w", force_zip64=True) as file:
                _write_padded(file, store, rows, lambda clip: clip.reshape(len(clip), -1))
            arrays[f"y_{half}"] = np.eye(store.num_classes)[store.label[rows]]
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.save(file, array)


def write_pkl(store: Store, path: Path) -> None:
    """Write pyskl's file. The coordinates stay float32, which pyskl reads as well as float16."""
    split = {
        f"{SHORT.get(protocol, protocol)}_{part}": [store.names[row] for row in rows]
        for protocol in store.protocols
        for part, rows in zip(PARTS, _halves(store, protocol), strict=True)
    }
    annotations = []
    for row, name in enumerate(store.names):
        bodies = np.asarray(store.clip(row)).transpose(1, 0, 2, 3)  # (M, T, V, C)
        if not bodies[1].tobytes().strip(b"\0"):  # not -0.0: an import restores every bit
            bodies = bodies[:1]
        clip = {"frame_dir": name, "label": int(store.label[row]), "keypoint": bodies}
        annotations.append(clip | {"total_frames": bodies.shape[1]})
    content = {"split": split, "annotations": annotations}
    with path.open("wb") as file:
        pickler = pickle.Pickler(file, protocol=4)
        pickler.fast = True  # pickle no references, which would keep all clips in memory
        pickler.dump(content | _own_texts(store, range(len(annotations))))


def _halves(store: Store, protocol: str) -> tuple[np.ndarray, np.ndarray]:
    if store.layout.frame_shape != NTU.frame_shape:
        raise UserError(f"{store.folder} holds {store.layout}; the format has two bodies of 25")
    return store.split(protocol)


def _own_texts(store: Store, rows: Sequence[int]) -> dict[str, str]:
    # The texts of store.json, and of samples.csv for some clips.
    more = store.description.more_columns
    columns = [*(getattr(store, name) for name in FIELDS), *(store.more[name] for name in more)]
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["name", *FIELDS, *more])
    table.writerows([store.names[row], *(int(column[row]) for column in columns)] for row in rows)
    description = replace(store.description, checked=False)  # that speaks of joints.npy
    return {"store": description.to_json(), "samples": file.getvalue()}


def _write_padded(file: BinaryIO, store: Store, rows: np.ndarray, arrange: Callable) -> None:
    """Write clips as one float32 .npy array, all padded with zeros to the same number of frames.

    arrange: function that brings a padded clip (T, M, V, C) into the format's order.
    """
    padded = np.zeros((max(LEAST_FRAMES, store.length.max()), *store.layout.frame_shape), "<f4")
    shape = (len(rows), *arrange(padded).shape)
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for row in tqdm(rows, unit="clip", disable=None):
        clip = store.clip(row)
        padded[: len(clip)] = clip
        padded[len(clip) :] = 0
        file.write(np.ascontiguousarray(arrange(padded)).data)
