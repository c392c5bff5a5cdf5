"""A mixture: several stores with the same skeleton, used as one store for training.

Each store has a share of every batch. Slashes join data sets, or their protocols: "ntu120/pkummd1".
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common import UserError
from feeder.store import Store, open_store


def by_data_set(datasets: str, protocols: str) -> dict[str, str]:
    """{data set: its protocol}, in order; protocols: one for all data sets, or one for each."""
    names, each = datasets.split("/"), protocols.split("/")
    each = each * len(names) if len(each) == 1 else each
    if len(each) != len(names):
        raise UserError(f"{len(each)} protocols for {len(names)} data sets; name one, or one each")
    return dict(zip(names, each, strict=True))


def open_data(data_root: str | Path, datasets: str) -> "Store | Mixture":
    """Open one store, or several ("ntu120/pkummd1") as a mixture."""
    names = datasets.split("/")
    if len(set(names)) < len(names):
        raise UserError(f"{datasets}: a data set is named twice; --mix gives it its share")
    stores = [open_store(data_root, name) for name in names]
    return stores[0] if len(stores) == 1 else Mixture(stores)


class Mixture:
    """Several stores with N clips in all; no frame is copied.

    start, length: (N,) int64, where each clip lies in the frames of all stores
    first: (stores,) int64, the number of each store's first clip
    """

    def __init__(self, stores: Sequence[Store]):
        self.stores, self.layout = tuple(stores), stores[0].layout
        for store in stores:
            if store.layout != self.layout:
                also = f"but {stores[0].folder} {self.layout}"
                raise UserError(f"{store.folder} holds {store.layout}, {also}")
        self.names = [f"{store.dataset}/{name}" for store in stores for name in store.names]
        self.length = np.concatenate([store.length for store in stores])
        self.start = np.cumsum(self.length) - self.length
        self.first = np.cumsum([0, *(len(store.names) for store in stores[:-1])])
        self.fingerprint = "/".join(store.fingerprint for store in stores)
        self.preparation = stores[0].preparation
        self.nbytes = sum(store.nbytes for store in stores)

    def split(self, protocol: str) -> tuple[np.ndarray, np.ndarray]:
        """The training clips and the test clips, each (n,) int64; protocol: as `by_data_set`."""
        protocols = by_data_set("/".join(store.dataset for store in self.stores), protocol)
        splits = (
            [rows + first for rows in store.split(protocols[store.dataset])]
            for store, first in zip(self.stores, self.first, strict=True)
        )
        train, test = zip(*splits, strict=True)
        return np.concatenate(train), np.concatenate(test)

    def sizes(self, rows: np.ndarray) -> tuple[int, ...]:
        """The number of the clips `rows` (n,), sorted, that belong to each store."""
        bounds = np.searchsorted(rows, [*self.first, len(self.names)])
        return tuple(np.diff(bounds).tolist())

    def clip(self, row: int) -> np.ndarray:
        """The frames of one clip: (T, M, V, C) float32."""
        number = int(np.searchsorted(self.first, row, side="right")) - 1
        return self.stores[number].clip(row - self.first[number])


def clips_an_epoch(sizes: Sequence[int], weights: Sequence[float] = ()) -> list[int]:
    """The clips an epoch draws from each data set; they sum to the number of training clips.

    sizes: for each data set the number of its training clips
    weights: for each data set its share, up to a common factor; empty to draw each clip once
    """
    weights = weights or sizes
    bounds = np.rint(np.cumsum([0, *weights]) / sum(weights) * sum(sizes)).astype(int)
    counts = np.diff(bounds).tolist()
    if 0 in counts:
        number = 1 + counts.index(0)
        raise UserError(f"--mix: no clip of data set {number} in an epoch; raise its weight")
    return counts


def epoch_order(sizes: Sequence, weights: Sequence, seed: int, epoch: int) -> np.ndarray:
    """The order of an epoch's clips: (N,) int64, numbers from 0 through all data sets.

    Each part of the order holds each data set's share, to within one clip. All clips of a data set
    come once, in random order, before any comes again, even across epochs.
    """
    counts = clips_an_epoch(sizes, weights)
    drawn, place, first = [], [], 0
    for number, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        # Permutations follow each other without end; an epoch takes the next `count` clips. A zero
        # at the end of a seed changes nothing: the first data set draws as a single one does.
        begin, end = epoch * count, (epoch + 1) * count
        rounds = range(begin // size, -(-end // size))
        rngs = [np.random.default_rng([seed, round_, 0, number]) for round_ in rounds]
        clips = np.concatenate([rng.permutation(size) for rng in rngs])
        drawn.append(first + clips[begin - rounds.start * size :][:count])
        place.append((np.arange(count) + 0.5) / count)
        first += size
    return np.concatenate(drawn)[np.argsort(np.concatenate(place), kind="stable")]
