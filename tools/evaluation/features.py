"""The data of an evaluation, and the features of its clips: whole, resized, encoded once."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from common import UserError, atomic
from data_gen.readers.recording import Reading, read_clip
from feeder.augment import resize
from feeder.batches import to_device, whole_clips
from feeder.description import Description
from feeder.mixture import by_data_set
from feeder.skeletons import NTU
from feeder.store import Store, open_store
from net import MODALITIES
from net.modalities import derive
from tools.evaluation.encoders import LoadedEncoder

ENCODING_BATCH = 256  # clips; fixed, so that features do not depend on flags

# Reads clips of a store: (store, rows, device) -> (n, 64, M, V, C).
Loader = Callable[[Store, np.ndarray, torch.device], Tensor]


class Halves(NamedTuple):
    """The training and the test clips of a store under a protocol: rows (n,) and (m,)."""

    store: Store
    protocol: str
    train: np.ndarray
    test: np.ndarray


class Features(NamedTuple):
    """Features of S streams (sets of modalities): train (S, n, D), test (S, m, D), float32."""

    data: Halves
    train: Tensor
    test: Tensor

    @property
    def train_classes(self) -> Tensor:
        """Classes (n,) of the training clips, from 0, int64."""
        return classes_of(self.data.store, self.data.train, self.train.device)

    @property
    def test_classes(self) -> Tensor:
        """Classes (m,) of the test clips, from 0, int64."""
        return classes_of(self.data.store, self.data.test, self.test.device)


class Labels(NamedTuple):
    """How many training clips of each class keep their label: a share, a number, or all."""

    fraction: float | None = None
    per_class: int | None = None

    def draw(self, classes: np.ndarray, seed: int) -> np.ndarray:
        """Draw the clips that keep their label, of clips with these classes (n,): indices (k,).

        Each class keeps one clip at least. With one seed, a smaller choice is part of a larger one.
        """
        if self == ALL_LABELS:
            return np.arange(len(classes))
        rng = np.random.default_rng(seed)
        kept = []
        for name in np.unique(classes):
            clips = rng.permutation(np.flatnonzero(classes == name))
            kept.append(clips[: self.per_class or max(1, round(self.fraction * len(clips)))])
        return np.sort(np.concatenate(kept))


ALL_LABELS = Labels()


# ---- data


def open_halves(store: Store, protocol: str) -> Halves:
    """The training and the test clips of a store. Raises StoreError where it has no such split."""
    return Halves(store, protocol, *store.require_split(protocol))


def halves_for(
    loaded: LoadedEncoder,
    data_root: str | Path | None = None,
    dataset: str | None = None,
    protocol: str | None = None,
) -> Halves:
    """The data on which an encoder is evaluated; None: as in (the first store of) pre-training.

    Raises UserError where the data is missing, or its clips are not such as the encoder needs.
    """
    settings = loaded.settings
    trained = by_data_set(settings["pre_dataset"], settings["protocol"])
    first = next(iter(trained))
    dataset = dataset or first
    store = open_store(data_root or settings["data_root"], dataset)
    check_layout(loaded, store)
    return open_halves(store, protocol or trained.get(dataset, trained[first]))


def check_layout(loaded: LoadedEncoder, store: Store) -> None:
    """Raise UserError where a store's clips have other bodies or joints than the encoder needs."""
    if store.layout != (layout := loaded.encoder.layout):
        raise UserError(
            f"{loaded.source} was trained on clips of {layout}, {store.folder} holds {store.layout}"
            "; take a store with the same skeleton, or another checkpoint"
        )


def of_classes(data: Halves, classes: set[int]) -> Halves:
    """Keep only the clips of some classes, from 1. Raises UserError where a half has none left."""
    store, most = data.store, max(classes)
    if most > store.num_classes:
        raise UserError(f"--classes {most}: {store.folder} has the classes 1-{store.num_classes}")
    kept = {}
    for half, rows in (("train", data.train), ("test", data.test)):
        kept[half] = rows[np.isin(store.action[rows], list(classes))]
        if not len(kept[half]):
            raise UserError(f"--classes: no {half} clip has one of these; try another --protocol")
    return data._replace(**kept)


def untrained(data: Halves) -> dict[str, Any]:
    """The classes of test clips of which there is no training clip, and their number of clips."""
    store, truth = data.store, data.store.label[data.test]
    unseen = np.setdiff1d(truth, store.label[data.train])
    return {
        "classes_without_training": [store.class_names[k] for k in unseen],
        "test_clips_of_classes_without_training": int(np.isin(truth, unseen).sum()),
    }


def within_training(features: Features, fitting: np.ndarray, judging: np.ndarray) -> Features:
    """Divide the training clips into training and test clips: indices, or masks (n,), of each."""
    data, device = features.data, features.train.device
    rows = data._replace(train=data.train[fitting], test=data.train[judging])
    parts = (features.train[:, torch.from_numpy(x).to(device)] for x in (fitting, judging))
    return Features(rows, *parts)


def in_batches(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Divide rows (n,) into parts of `size` rows; the last part may have fewer."""
    return np.split(rows, range(size, len(rows), size))


def labeled_clips(
    store: Store, rows: np.ndarray, device: torch.device, load: Loader = whole_clips
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of clips (b, 64, M, V, C), without augmentation, and their classes (b,)."""
    for batch in in_batches(rows, ENCODING_BATCH):
        yield load(store, batch, device), classes_of(store, batch, device)


def classes_of(store: Store, rows: np.ndarray, device: torch.device) -> Tensor:
    """Classes, from 0, of the clips in some rows: (n,) int64 on the device."""
    return to_device(store.label[rows], device)


def device_of(module: nn.Module) -> torch.device:
    """The device of a module's weights."""
    return next(module.parameters()).device


# ---- features


def encode(
    encoder: nn.Module, data: Halves, streams: Sequence[tuple[str, ...]] = (MODALITIES,)
) -> Features:
    """Encode all training and test clips once, as `extract_features` does."""
    train = extract_features(
        encoder, data.store, data.train, streams, what="encoding training clips"
    )
    test = extract_features(encoder, data.store, data.test, streams, what="encoding test clips")
    return Features(data, train, test)


@torch.inference_mode()
def extract_features(
    encoder: nn.Module,
    store: Store,
    rows: np.ndarray,
    streams: Sequence[tuple[str, ...]] = (MODALITIES,),
    *,
    what: str = "encoding clips",
    load: Loader = whole_clips,
) -> Tensor:
    """Encode clips (n,) of a store for each of S streams: (S, n, D), on the encoder's device.

    encoder: in eval mode; it fuses the modalities of a stream. what: title of the progress bar.
    Raises UserError, which names a clip, where a feature is not finite.
    """
    device, parts = device_of(encoder), []
    with tqdm(total=len(rows), desc=what, unit="clip", leave=False, disable=None) as bar:
        for batch in in_batches(rows, ENCODING_BATCH):
            parts.append(encode_views(encoder, load(store, batch, device), streams))
            bar.update(len(batch))
    features = torch.cat(parts, 1)
    broken = ~features.isfinite().all(2).all(0).cpu().numpy()
    if broken.any():
        raise UserError(
            f"the feature of {store.names[rows[broken.argmax()]]} and of {broken.sum() - 1} other "
            "clips is not finite; look at the coordinates of that clip and at the checkpoint"
        )
    return features


def encode_views(
    encoder: nn.Module, clips: Tensor, streams: Sequence[tuple[str, ...]] = (MODALITIES,)
) -> Tensor:
    """Encode resized clips (n, 64, M, V, C) for each of S streams: (S, n, D)."""
    views = (derive(clips, names, encoder.layout.skeleton) for names in streams)
    return encoder(*views).unflatten(0, (len(streams), -1))


@torch.inference_mode()
def encode_clip(
    encoder: nn.Module, clip: np.ndarray, modalities: tuple[str, ...] = MODALITIES
) -> Tensor:
    """The feature (D,) of a prepared clip (T, M, V, C) float32; UserError if it does not fit."""
    if clip.shape[1:] != encoder.layout.frame_shape:
        there = "{} bodies of {} joints of {} values".format(*clip.shape[1:])
        raise UserError(f"the recording shows {there}, the encoder needs {encoder.layout}")
    device = device_of(encoder)
    start, length = torch.tensor([[0], [len(clip)]], device=device)
    view = resize(torch.from_numpy(clip).to(device), start, length)  # (1, 64, M, V, C)
    return encode_views(encoder, view, [modalities])[0, 0]


def read_recording(path: str | Path, description: Description | None = None) -> np.ndarray:
    """Read a recording as a clip (T, M, V, C) float32 of the store described; None: NTU RGB+D.

    Raises UserError where the file cannot be used or shows nobody.
    """
    if description is None:
        return read_clip(Path(path), NTU)
    layout = description.layout
    reading = Reading.of_store(layout, description.reading)
    return read_clip(Path(path), layout, description.alignment, reading)


def save_features(path: Path, features: Features) -> None:
    """Write features (N, S·D) float32, labels (N,) from 0, names, training (N,) bool as .npz."""
    store, rows = features.data.store, np.concatenate([features.data.train, features.data.test])
    clips = torch.cat([features.train, features.test], dim=1)  # (S, N, D)
    with atomic(path) as part, part.open("wb") as file:
        np.savez(
            file,
            features=clips.transpose(0, 1).flatten(1).cpu().numpy(),
            labels=store.label[rows],
            names=np.array(store.names)[rows],
            training=np.arange(len(rows)) < len(features.data.train),
        )
