"""The data of an evaluation, and the features of its clips.

Each clip is taken whole, resized to 64 frames, without augmentation, and encoded once.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from common import UserError, atomic
from data_gen.clip import prepare_clip
from data_gen.readers.skeleton_file import read_skeleton_file
from feeder.augment import resize
from feeder.batches import to_device, whole_clips
from feeder.mixture import by_data_set
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
    """How many training clips of each class keep their label; all where both are None.

    fraction: the share of the clips, rounded, at least one clip.
    per_class: the number of clips; all where the class has fewer.
    """

    fraction: float | None = None
    per_class: int | None = None

    def draw(self, classes: np.ndarray, seed: int) -> np.ndarray:
        """Draw the clips that keep their label, of clips with these classes (n,): indices (k,).

        With one seed, a smaller choice is part of a larger one.
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
    """The data on which an encoder is evaluated; an argument that is None is as in pre-training.

    After pre-training on several stores, the first one is the default.
    Raises StoreError where the data is missing, and UserError where its clips have other bodies or
    joints than the encoder needs.
    """
    settings = loaded.settings
    trained = by_data_set(settings["pre_dataset"], settings["protocol"])
    first = next(iter(trained))
    dataset = dataset or first
    store = open_store(data_root or settings["data_root"], dataset)
    if store.layout != (layout := loaded.encoder.layout):
        raise UserError(
            f"{loaded.source} was trained on clips of {layout}, {store.folder} holds {store.layout}"
            "; take a store with the same skeleton, or another checkpoint"
        )
    return open_halves(store, protocol or trained.get(dataset, trained[first]))


def of_classes(data: Halves, classes: set[int]) -> Halves:
    """Keep only the clips of some classes, counted from 1.

    Raises UserError where the store has no such class, or no training or no test clip is left.
    """
    store = data.store
    if (most := max(classes)) > store.num_classes:
        raise UserError(
            f"--classes {most}: {store.folder} has classes 1-{store.num_classes}; name some of them"
        )
    train, test = (
        rows[np.isin(store.action[rows], list(classes))] for rows in (data.train, data.test)
    )
    if not (len(train) and len(test)):
        half = "test" if len(train) else "training"
        raise UserError(
            f"--classes: no {half} clip has one of these classes; name others, or take another "
            "--protocol"
        )
    return data._replace(train=train, test=test)


def within_training(features: Features, fitting: np.ndarray, judging: np.ndarray) -> Features:
    """Divide the training clips: some stand for training clips, others for test clips.

    fitting, judging: the training clips of each part, as indices or as a mask (n,).
    """
    data, device = features.data, features.train.device
    train, test = (
        features.train[:, torch.from_numpy(part).to(device)] for part in (fitting, judging)
    )
    return Features(data._replace(train=data.train[fitting], test=data.train[judging]), train, test)


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
    """Encode all training and test clips once; errors are those of `extract_features`."""
    train, test = (
        extract_features(encoder, data.store, rows, streams, what=f"encoding {half} clips")
        for rows, half in ((data.train, "training"), (data.test, "test"))
    )
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

    encoder: in eval mode.
    streams: sets of modalities; the modalities of a set are fused.
    what: title of the progress bar.
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
    """The feature (D,) of one clip (T, M, V, C) float32, which is prepared as clips of a store are.

    Raises UserError where the clip has other bodies or joints than the encoder needs.
    """
    if clip.shape[1:] != encoder.layout.frame_shape:
        bodies, joints, _ = clip.shape[1:]
        raise UserError(
            f"the recording shows {bodies} bodies of {joints} joints, the encoder needs "
            f"{encoder.layout}"
        )
    device = device_of(encoder)
    start, length = torch.tensor([[0], [len(clip)]], device=device)
    view = resize(torch.from_numpy(clip).to(device), start, length)  # (1, 64, M, V, C)
    return encode_views(encoder, view, [modalities])[0, 0]


def read_recording(path: str | Path) -> np.ndarray:
    """Read a raw `.skeleton` file as a clip (T, M, V, C) float32, prepared as clips of a store are.

    Raises UserError where the file is malformed or shows nobody.
    """
    clip = prepare_clip(read_skeleton_file(path))
    if clip is None:
        raise UserError(f"{path} shows nobody")
    return clip


def save_features(path: Path, features: Features) -> None:
    """Write an .npz file, the training clips first.

    It holds features (N, S·D) float32, labels (N,) from 0, names (N,), and training (N,) bool.
    """
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
