"""The data of an evaluation, and the features of its clips."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from data_gen.preparing.clip import prepare_clip
from data_gen.preparing.files import whole_file
from data_gen.readers.skeleton_file import SkeletonFileError, read_skeleton_file
from feeder.augment import resize
from feeder.batches import to_device
from feeder.mixture import by_data_set
from feeder.store import Store, open_store
from net import MODALITIES
from net.modalities import derive
from tools import cli
from tools.evaluation.altered_clips import Alteration, load_altered
from tools.evaluation.encoders import LoadedEncoder
from tools.evaluation.progress import Progress

ENCODING_BATCH = 256  # clips; fixed, so that features do not depend on flags


class Halves(NamedTuple):
    """The training and the test clips of a store under a protocol.

    train: (n,) rows of the store.
    test: (m,) rows of the store.
    """

    store: Store
    protocol: str
    train: np.ndarray
    test: np.ndarray


class Features(NamedTuple):
    """The features of all clips; each clip is encoded once for each stream.

    train: (S, n, D) float32. test: (S, m, D) float32. A stream is a set of modalities; there are S.
    """

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


def open_halves(store: Store, protocol: str) -> Halves:
    """The training and the test clips of a store.

    Raises StoreError where it has no such protocol.
    """
    return Halves(store, protocol, *store.require_split(protocol))


def of_classes(data: Halves, classes: Collection[int]) -> Halves:
    """Keep only the clips of some classes.

    classes: counted from 1, as in samples.csv.
    Raises UserError where the store has no such class, or no training or no test clip is left.
    """
    if (most := max(classes)) > (number := data.store.num_classes):
        raise cli.UserError(
            f"--classes {most}: {data.store.folder} has {number} classes; name some of 1-{number}"
        )
    kept = [
        rows[np.isin(data.store.action[rows], list(classes))] for rows in (data.train, data.test)
    ]
    for rows, half in zip(kept, ("training", "test"), strict=True):
        if not len(rows):
            raise cli.UserError(
                f"--classes: no {half} clip has one of these classes; name others, or take another "
                "--protocol"
            )
    return Halves(data.store, data.protocol, *kept)


def within_training(features: Features, fitting: np.ndarray, judging: np.ndarray) -> Features:
    """Divide the training clips: some stand for training clips, others for test clips.

    fitting, judging: the training clips of each part, as indices or as a mask (n,).
    """
    data, on = features.data, features.train.device
    halves = (features.train[:, torch.from_numpy(part).to(on)] for part in (fitting, judging))
    rows = Halves(data.store, data.protocol, data.train[fitting], data.train[judging])
    return Features(rows, *halves)


def halves_for(
    loaded: LoadedEncoder,
    data_root: str | Path | None = None,
    dataset: str | None = None,
    protocol: str | None = None,
) -> Halves:
    """The data on which an encoder is evaluated; an argument that is None is as in pre-training.

    data_root: the folder of the stores.
    dataset: the name of the store; after pre-training on several stores, by default the first one.
    protocol: by default the protocol of the chosen store in pre-training.
    Raises StoreError where the data is missing, and UserError where its clips have other bodies or
    joints than the encoder needs.
    """
    settings = loaded.settings
    trained = by_data_set(settings["pre_dataset"], settings["protocol"])
    first = next(iter(trained))
    dataset = dataset or first
    store = open_store(data_root or settings["data_root"], dataset)
    if store.layout != (layout := loaded.encoder.layout):
        raise cli.UserError(
            f"{loaded.source} was trained on clips of {layout}, {store.folder} holds {store.layout}"
            "; take a store with the same skeleton, or another checkpoint"
        )
    return open_halves(store, protocol or trained.get(dataset, trained[first]))


def encode(
    encoder: nn.Module, data: Halves, streams: Sequence[tuple[str, ...]] = (MODALITIES,)
) -> Features:
    """Encode all training and test clips, for each set of modalities in `streams`.

    encoder: in eval mode.
    Raises UserError, which names a clip, where a feature is not finite.
    """
    halves = []
    for rows, half in ((data.train, "training"), (data.test, "test")):
        what = f"encoding {half} clips"
        halves.append(extract_streams(encoder, data.store, rows, streams, what=what))
    return Features(data, *halves)


def extract_streams(
    encoder: nn.Module,
    store: Store,
    rows: np.ndarray,
    streams: Sequence[tuple[str, ...]],
    *,
    what: str = "encoding clips",
    alteration: Alteration | None = None,
) -> Tensor:
    """Encode some clips once for each of S streams: (S, n, D) float32, on the encoder's device.

    streams: sets of modalities.
    The other arguments and errors are those of `extract_features`.
    """
    parts = []
    for names in streams:
        title = f"{what}, {'+'.join(names)}"
        parts.append(
            extract_features(encoder, store, rows, names, what=title, alteration=alteration)
        )
    return torch.stack(parts)


@torch.inference_mode()
def extract_features(
    encoder: nn.Module,
    store: Store,
    rows: np.ndarray,
    modalities: tuple[str, ...] = MODALITIES,
    *,
    what: str = "encoding clips",
    alteration: Alteration | None = None,
) -> Tensor:
    """Encode some clips once, without augmentation: (n, D) float32, on the encoder's device.

    encoder: in eval mode.
    rows: (n,) of the store.
    modalities: what the encoder sees.
    what: title of the progress bar.
    alteration: what is removed from the clips; None: whole clips.
    Raises UserError, which names a clip, where a feature is not finite.
    """
    device, skeleton, parts = device_of(encoder), encoder.layout.skeleton, []
    with Progress(what, len(rows), "clip") as progress:
        for batch in in_batches(rows, ENCODING_BATCH):
            clips = load_altered(store, batch, device, alteration)
            parts.append(encoder(derive(clips, modalities, skeleton)))
            progress.update(len(batch))
    features = torch.cat(parts)
    broken = ~features.isfinite().all(1).cpu().numpy()
    if broken.any():
        raise cli.UserError(
            f"the feature of {store.names[rows[broken.argmax()]]} and of {broken.sum() - 1} other "
            "clips is not finite; look at the coordinates of that clip and at the checkpoint"
        )
    return features


@torch.inference_mode()
def encode_clip(
    encoder: nn.Module, clip: np.ndarray, modalities: tuple[str, ...] = MODALITIES
) -> Tensor:
    """The feature (D,) of one clip (T, M, V, C) float32, which is prepared as clips of a store are.

    modalities: what the encoder sees.
    Raises UserError where the clip has other bodies or joints than the encoder needs.
    """
    if clip.shape[1:] != encoder.layout.frame_shape:
        there = "{} bodies of {} joints".format(*clip.shape[1:])
        raise cli.UserError(f"the recording shows {there}, the encoder needs {encoder.layout}")
    device = device_of(encoder)
    start, length = torch.tensor([[0], [len(clip)]], device=device)
    view = resize(torch.from_numpy(clip).to(device), start, length)  # (1, 64, M, V, C)
    return encoder(derive(view, modalities, encoder.layout.skeleton))[0]


def read_recording(path: str | Path) -> np.ndarray:
    """Read a raw `.skeleton` file as a clip (T, M, V, C) float32, prepared as clips of a store are.

    Raises UserError where the file is malformed or shows nobody.
    """
    try:
        clip = prepare_clip(read_skeleton_file(path))
    except SkeletonFileError as error:
        raise cli.UserError(str(error)) from None
    if clip is None:
        raise cli.UserError(f"{path} shows nobody")
    return clip


def in_batches(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Divide rows (n,) into parts of `size` rows; the last part may have fewer."""
    return np.split(rows, range(size, len(rows), size))


def labeled_clips(
    store: Store, rows: np.ndarray, device: torch.device, alteration: Alteration | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of clips (b, T, M, V, C), without augmentation, and their classes (b,).

    rows: (n,) of the store.
    alteration: what is removed from the clips; None: whole clips.
    """
    for batch in in_batches(rows, ENCODING_BATCH):
        clips = load_altered(store, batch, device, alteration)
        yield clips, classes_of(store, batch, device)


def device_of(module: nn.Module) -> torch.device:
    """The device of a module's weights."""
    return next(module.parameters()).device


def classes_of(store: Store, rows: np.ndarray, device: torch.device) -> Tensor:
    """Classes, from 0, of the clips in some rows: (n,) int64 on the device."""
    return to_device(store.label[rows], device)


def save_features(path: Path, features: Features) -> None:
    """Write the features of training and test clips as an .npz file that needs no pickle.

    The file holds features (N, S·D) float32, labels (N,) from 0, names (N,), and training (N,)
    bool. The training clips come first.
    """
    store, rows = features.data.store, np.concatenate([features.data.train, features.data.test])
    halves = (part.transpose(0, 1).flatten(1) for part in (features.train, features.test))
    with whole_file(path) as part, part.open("wb") as file:
        np.savez(
            file,
            features=torch.cat(list(halves)).cpu().numpy(),
            labels=store.label[rows],
            names=np.array(store.names)[rows],
            training=np.arange(len(rows)) < len(features.data.train),
        )
