"""The train/test split of an evaluation, and the features of its clips: whole, encoded once."""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from common import UserError, atomic
from data_gen.readers import recording
from feeder.batches import Clips, to_device, whole_clips
from feeder.datasets import NTU_DATASETS
from feeder.description import Description
from feeder.mixture import by_data_set
from feeder.store import Store, open_store
from net import MODALITIES
from net.modalities import derive
from tools.evaluation.encoders import LoadedEncoder

ENCODING_BATCH = 64  # clips; fixed, so that features do not depend on flags

# Reads clips of a store: (store, rows, device) -> (n, 64, M, V, C).
Loader = Callable[[Store, np.ndarray, torch.device], Tensor]


class TrainTestSplit(NamedTuple):
    """The training and the test clips of a store under a protocol: rows (n,) and (m,)."""

    store: Store
    protocol: str
    train: np.ndarray
    test: np.ndarray


def open_split(store: Store, protocol: str) -> TrainTestSplit:
    """A split of a store. Raises UserError if there is none, or no labels or test clips."""
    return TrainTestSplit(store, protocol, *store.require_split(protocol))


def split_for(
    loaded: LoadedEncoder,
    data_root: str | Path | None = None,
    dataset: str | None = None,
    protocol: str | None = None,
    classes: Collection[int] = (),
) -> TrainTestSplit:
    """The split on which an encoder is evaluated; None: as in (the first store of) pre-training.

    classes: numbers, from 1, of the only classes whose clips are kept; empty: all
    Raises UserError if the data is missing or has another skeleton than the encoder, or if no
    training or no test clip is left.
    """
    settings = loaded.settings
    trained = by_data_set(settings["pre_dataset"], settings["protocol"])
    first = next(iter(trained))
    dataset = dataset or first
    store = open_store(data_root or settings["data_root"], dataset)
    check_layout(loaded, store)
    data = open_split(store, protocol or trained.get(dataset, trained[first]))
    if not classes:
        return data
    if (most := max(classes)) > store.num_classes:
        raise UserError(f"--classes {most}: {store.folder} has the classes 1-{store.num_classes}")
    train, test = (rows[np.isin(store.action[rows], list(classes))] for rows in data[2:])
    if not len(train) or not len(test):
        raise UserError("--classes: no training or no test clip is left; try another --protocol")
    return data._replace(train=train, test=test)


def check_layout(loaded: LoadedEncoder, store: Store) -> None:
    """Raise UserError if a store's clips have other bodies or joints than the encoder needs."""
    if store.layout != (layout := loaded.encoder.layout):
        there = f"{store.folder} holds {store.layout}; take a store with the same skeleton"
        raise UserError(f"{loaded.source} was trained on clips of {layout}, {there}")


class Labels(NamedTuple):
    """How many training clips of each class keep their label: a share, a number, or all."""

    fraction: float | None = None
    per_class: int | None = None

    def draw(self, classes: np.ndarray, seed: int) -> np.ndarray:
        """Draw the clips that keep their label, of clips with these classes (n,): indices (k,).

        At least one of each class. With the same seed a smaller choice is part of a larger one.
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


def clips_and_classes(
    store: Store, rows: np.ndarray, device: torch.device, load: Loader = whole_clips
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of clips (b, 64, M, V, C), without augmentation, and their classes (b,)."""
    for batch in np.split(rows, range(ENCODING_BATCH, len(rows), ENCODING_BATCH)):
        yield load(store, batch, device), to_device(store.label[batch], device)


class Features(NamedTuple):
    """Features of S streams (sets of modalities): train (S, n, D), test (S, m, D), float32."""

    data: TrainTestSplit
    train: Tensor
    test: Tensor

    @property
    def train_classes(self) -> Tensor:
        """Classes (n,) of the training clips, from 0, int64."""
        return to_device(self.data.store.label[self.data.train], self.train.device)

    @property
    def test_classes(self) -> Tensor:
        """Classes (m,) of the test clips, from 0, int64."""
        return to_device(self.data.store.label[self.data.test], self.test.device)


def within_training(features: Features, fitting: np.ndarray, judging: np.ndarray) -> Features:
    """Split the training clips into training and test clips: indices, or masks (n,), of each."""
    data, device = features.data, features.train.device
    rows = data._replace(train=data.train[fitting], test=data.train[judging])
    parts = (features.train[:, torch.from_numpy(x).to(device)] for x in (fitting, judging))
    return Features(rows, *parts)


class Scale(NamedTuple):
    """Mean and standard deviation of each dimension of features, (..., 1, D) float32 both.

    The encoder's maximum over tokens gives features large means and unequal deviations. MAE puts a
    batch norm before its linear layer for the same reason (He et al., CVPR 2022, A.1).
    """

    mean: Tensor
    deviation: Tensor

    def apply(self, features: Tensor) -> Tensor:  # (..., n, D)
        return (features - self.mean) / self.deviation


def scale_of(features: Tensor) -> Scale:
    """The scale of features (..., n, D). A dimension that is constant gets the deviation 1."""
    deviation = features.std(-2, correction=0, keepdim=True)
    return Scale(features.mean(-2, keepdim=True), deviation.where(deviation > 0, 1.0))


def standardized(features: Features) -> tuple[Features, Scale]:
    """Standardize training and test features by the training clips; return the scale, too."""
    scale = scale_of(features.train)
    return Features(features.data, scale.apply(features.train), scale.apply(features.test)), scale


def encode(
    encoder: nn.Module, data: TrainTestSplit, streams: Sequence[tuple[str, ...]] = (MODALITIES,)
) -> Features:
    """Encode all training and test clips once."""
    parts = (extract_features(encoder, data.store, rows, streams) for rows in data[2:])
    return Features(data, *parts)


@torch.inference_mode()
def extract_features(
    encoder: nn.Module,
    store: Store,
    rows: np.ndarray,
    streams: Sequence[tuple[str, ...]] = (MODALITIES,),
    load: Loader = whole_clips,
) -> Tensor:
    """Encode clips (n,) of a store for each of S streams: (S, n, D), on the encoder's device.

    The encoder, in eval mode, fuses the modalities of a stream. Raises UserError if a feature is
    not finite.
    """
    parts = []
    with tqdm(total=len(rows), unit="clip", desc="encoding", leave=False, disable=None) as bar:
        for clips, classes in clips_and_classes(store, rows, device_of(encoder), load):
            parts.append(encode_views(encoder, clips, streams))
            bar.update(len(classes))
    features = torch.cat(parts, 1)
    broken = ~features.isfinite().all(2).all(0).cpu().numpy()
    if broken.any():
        clip = store.names[rows[broken.argmax()]]
        raise UserError(f"the features of {broken.sum()} clips, as {clip}, are not finite")
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
    view = Clips.one(clip).to(device_of(encoder)).resized()  # (1, 64, M, V, C)
    return encode_views(encoder, view, [modalities])[0, 0]


def read_recording(path: str | Path, description: Description | None = None) -> np.ndarray:
    """Read a recording as a clip (T, M, V, C) float32 of the store described; None: NTU RGB+D.

    Raises UserError if the file cannot be used or shows nobody.
    """
    description = description or NTU_DATASETS["ntu60"]
    reading = recording.Reading.of_store(description.layout, description.preparation)
    return recording.prepare(recording.read_new(Path(path), reading), reading)


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


def device_of(module: nn.Module) -> torch.device:
    return next(module.parameters()).device
