"""A mixture: several stores with the same skeleton, used as one store for training.

Each store has a share of every training batch. Clips are numbered through all stores: first the
rows of the first store, then the rows of the second store, and so on. A setting of a run names
several data sets, or their protocols, with slashes: "ntu120/pkummd1", "cross_setup/cross_subject".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from common import UserError
from feeder.skeletons import Layout
from feeder.store import Store, StoreError, open_store


def by_data_set(datasets: str, protocols: str) -> dict[str, str]:
    """{data set: its protocol}, in order.

    datasets: one name, or several with slashes
    protocols: one protocol for all data sets, or one for each, with slashes
    Raises StoreError if the numbers of names do not fit.
    """
    names, each = datasets.split("/"), protocols.split("/")
    each = each * len(names) if len(each) == 1 else each
    if len(each) != len(names):
        raise StoreError(
            f"{len(each)} protocols for {len(names)} data sets; name one for all or one for each"
        )
    return dict(zip(names, each, strict=True))


def open_data(data_root: str | Path, datasets: str) -> "Store | Mixture":
    """Open one store, or several as a mixture.

    datasets: the name of a folder in `data_root`, or several with slashes
    Raises StoreError as `open_store` and `Mixture` do.
    """
    stores = tuple(open_store(data_root, dataset) for dataset in datasets.split("/"))
    return stores[0] if len(stores) == 1 else Mixture(stores)


@dataclass(frozen=True)
class Mixture:
    """Several stores with N clips in all; no frame is copied.

    Raises StoreError if a store is named twice, or if skeletons or numbers of bodies differ.
    """

    stores: tuple[Store, ...]

    def __post_init__(self):
        first = self.stores[0]
        folders = [store.folder for store in self.stores]
        for store in self.stores:
            if folders.count(store.folder) > 1:
                raise StoreError(f"{store.folder} is named twice; --mix gives a data set its share")
            if store.layout != first.layout:
                raise StoreError(
                    f"{first.folder} holds {first.layout} and {store.folder} {store.layout}; only "
                    "data sets of the same skeleton and bodies can be mixed"
                )

    @property
    def layout(self) -> Layout:
        """The bodies and the skeleton in a frame."""
        return self.stores[0].layout

    @property
    def preparation(self) -> dict[str, Any]:
        """How recordings became clips of the first store."""
        return self.stores[0].preparation

    @cached_property
    def names(self) -> list[str]:
        """N strings, "STORE/CLIP"."""
        return [f"{store.dataset}/{name}" for store in self.stores for name in store.names]

    @cached_property
    def start(self) -> np.ndarray:
        """(N,) int64, the first frame of each clip, counted through the frames of all stores."""
        before = np.cumsum([0, *(len(store.joints) for store in self.stores[:-1])])
        return np.concatenate([s.start + n for s, n in zip(self.stores, before, strict=True)])

    @cached_property
    def length(self) -> np.ndarray:
        """(N,) int64, the number of frames of each clip."""
        return np.concatenate([store.length for store in self.stores])

    @cached_property
    def first(self) -> np.ndarray:
        """(stores,) int64, the number of each store's first clip."""
        return np.cumsum([0, *(len(store.names) for store in self.stores[:-1])])

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of each samples.csv, with slashes between them."""
        return "/".join(store.fingerprint for store in self.stores)

    @property
    def nbytes(self) -> int:
        """The size of all frames in bytes."""
        return sum(store.nbytes for store in self.stores)

    def split(self, protocol: str) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of the training clips and of the test clips, each (n,) int64.

        protocol: one protocol for all stores, or one for each, with slashes
        Raises StoreError as `Store.split` and `by_data_set` do.
        """
        protocols = by_data_set("/".join(store.dataset for store in self.stores), protocol)
        splits = [store.split(protocols[store.dataset]) for store in self.stores]
        train, test = zip(*splits, strict=True)
        numbered = [
            np.concatenate([first + rows for first, rows in zip(self.first, half, strict=True)])
            for half in (train, test)
        ]
        return numbered[0], numbered[1]

    def sizes(self, rows: np.ndarray) -> tuple[int, ...]:
        """The number of the clips `rows` (n,), sorted, that belong to each store."""
        bounds = np.searchsorted(rows, [*self.first, len(self.names)])
        return tuple(np.diff(bounds).tolist())

    def clip(self, row: int) -> np.ndarray:
        """The frames of one clip: (T, M, V, C) float32."""
        number = int(np.searchsorted(self.first, row, side="right")) - 1
        return self.stores[number].clip(row - self.first[number])

    def require_whole(self) -> None:
        """Call `Store.require_whole` of each store."""
        for store in self.stores:
            store.require_whole()


def clips_an_epoch(sizes: Sequence[int], weights: Sequence[float] = ()) -> list[int]:
    """The number of clips of each data set that an epoch draws; their sum is that of all clips.

    sizes: for each data set the number of its training clips
    weights: for each data set its share, up to a common factor; empty to draw each clip once
    Raises UserError if an epoch would draw no clip of a data set.
    """
    weights = weights or sizes
    bounds = np.rint(np.cumsum([0, *weights]) / sum(weights) * sum(sizes)).astype(int)
    counts = np.diff(bounds).tolist()
    if 0 in counts:
        raise UserError(
            f"--mix: an epoch would take no clip of data set {1 + counts.index(0)}; give it a "
            "greater weight"
        )
    return counts


def epoch_order(
    sizes: Sequence[int], weights: Sequence[float], seed: int, epoch: int
) -> np.ndarray:
    """The order of an epoch's clips: (N,) int64, numbers from 0 through all data sets.

    sizes, weights: as `clips_an_epoch` takes them

    Each part of the order holds each data set's share, to within one clip. The clips of a data set
    come in random order. All of them come once before any comes again, even across epochs; with a
    single data set each clip comes once in an epoch.
    """
    counts = clips_an_epoch(sizes, weights)
    first = np.cumsum([0, *sizes])
    drawn = [
        first[number] + _draw(size, count, seed, epoch, number)
        for number, (size, count) in enumerate(zip(sizes, counts, strict=True))
    ]
    place = np.concatenate([(np.arange(count) + 0.5) / count for count in counts])
    return np.concatenate(drawn)[np.argsort(place, kind="stable")]


def _draw(size: int, count: int, seed: int, epoch: int, number: int) -> np.ndarray:
    # Permutations of the data set follow each other without end; an epoch takes the next `count`.
    begin, end = epoch * count, (epoch + 1) * count
    rounds = range(begin // size, -(-end // size))
    # A zero at the end of a seed changes nothing, so the first data set draws as a single one does.
    rngs = (np.random.default_rng([seed, round_, 0, number]) for round_ in rounds)
    row = np.concatenate([rng.permutation(size) for rng in rngs])
    return row[begin - rounds.start * size :][:count]
