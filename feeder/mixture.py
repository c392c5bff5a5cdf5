"""Several stores of one skeleton as one to draw training batches from, each with a share of these.

Clips are numbered through all stores, in their order: the rows of the first one, then those of the
second one, and so on. Where one name of a data set or of a protocol is a setting of a run, several
are its parts between slashes: "ntu120/pkummd1", "cross_setup/cross_subject".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_gen.datasets.skeletons import Layout
from feeder.store import Store, StoreError, open_store


def by_data_set(datasets: str, protocols: str) -> dict[str, str]:
    """{data set: protocol} of settings that name one or several of them, in their order.

    Raises StoreError where there are neither as many protocols as data sets nor a single one.
    """
    names, each = datasets.split("/"), protocols.split("/")
    each = each * len(names) if len(each) == 1 else each
    if len(each) != len(names):
        raise StoreError(
            f"{len(each)} protocols for {len(names)} data sets; name one for all or one for each"
        )
    return dict(zip(names, each, strict=True))


def open_data(data_root: str | Path, datasets: str) -> "Store | Mixture":
    """Open DATA_ROOT/DATASET, or several data sets as one. Raises StoreError as `open_store`."""
    stores = [open_store(data_root, dataset) for dataset in datasets.split("/")]
    return stores[0] if len(stores) == 1 else mix(stores)


@dataclass(frozen=True)
class Mixture:
    """Several stores as one; nothing is copied.

    names: N strings, "STORE/CLIP". start: (N,) int64, where a clip begins if the frames of all
    stores lay one after another; frames: (N,) int64, its number of frames. first: the number of
    each store's first clip.
    """

    stores: tuple[Store, ...]
    names: list[str]
    start: np.ndarray
    frames: np.ndarray
    first: np.ndarray

    @property
    def layout(self) -> Layout:
        """What a frame holds: so many bodies of one skeleton."""
        return self.stores[0].layout

    @property
    def fingerprint(self) -> str:
        """SHA-256 of each samples.csv."""
        return "/".join(store.fingerprint for store in self.stores)

    def require_whole(self) -> None:
        """As `Store.require_whole`, of each store."""
        for store in self.stores:
            store.require_whole()

    @property
    def nbytes(self) -> int:
        """Bytes of all frames."""
        return sum(store.nbytes for store in self.stores)

    def split(self, protocol: str) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the training and of the test clips, those of the first store first.

        protocol: one for all stores, or one for each between slashes. Raises StoreError as
        `Store.split` and `by_data_set` do.
        """
        protocols = by_data_set("/".join(store.dataset for store in self.stores), protocol)
        halves = [store.split(protocols[store.dataset]) for store in self.stores]
        pairs = list(zip(self.first, halves, strict=True))
        return tuple(np.concatenate([n + halves[i] for n, halves in pairs]) for i in (0, 1))

    def sizes(self, rows: np.ndarray) -> tuple[int, ...]:
        """How many of some clips (n,), given in order, belong to each store."""
        bounds = np.searchsorted(rows, [*self.first, len(self.names)])
        return tuple(np.diff(bounds).tolist())

    def clip(self, row: int) -> np.ndarray:
        """The frames of one clip: (T, M, V, C) float32."""
        number = int(np.searchsorted(self.first, row, side="right")) - 1
        return self.stores[number].clip(row - self.first[number])


def mix(stores: Sequence[Store]) -> Mixture:
    """Stores as one. Raises StoreError where one is there twice, or skeletons or bodies differ."""
    first = stores[0]
    for i, store in enumerate(stores):
        if store.folder in [other.folder for other in stores[:i]]:
            raise StoreError(f"{store.folder} is named twice; a share is told by --mix")
        if store.layout != first.layout:
            raise StoreError(
                f"{first.folder} holds {first.layout} and {store.folder} {store.layout}; only data "
                "sets of the same skeleton and bodies can be mixed"
            )
    frames = np.cumsum([0, *(len(store.joints) for store in stores)])
    clips = np.cumsum([0, *(len(store.names) for store in stores)])
    return Mixture(
        tuple(stores),
        [f"{store.dataset}/{name}" for store in stores for name in store.names],
        np.concatenate([s.start + before for s, before in zip(stores, frames, strict=False)]),
        np.concatenate([store.frames for store in stores]),
        clips[:-1],
    )


def clips_an_epoch(sizes: Sequence[int], weights: Sequence[float] = ()) -> list[int]:
    """How many clips of each data set an epoch draws; in all as many as there are.

    sizes: numbers of training clips; weights: shares of the draws, up to a common factor, none for
    each clip once. Raises ValueError where a data set would give no clip.
    """
    weights = weights or sizes
    bounds = np.rint(np.cumsum([0, *weights]) / sum(weights) * sum(sizes)).astype(int)
    counts = np.diff(bounds).tolist()
    if 0 in counts:
        raise ValueError(f"data set {1 + counts.index(0)} would give no clip to an epoch")
    return counts


def epoch_order(
    sizes: Sequence[int], weights: Sequence[float], seed: int, epoch: int
) -> np.ndarray:
    """The clips of an epoch in their order: (N,) numbers from 0, through all data sets.

    sizes, weights: as `clips_an_epoch` takes them. Each stretch of the order holds its share of
    each data set, to within one clip. A data set's clips come in random order, each of them once
    before any comes again, over the bounds of epochs; of a single data set, once an epoch.
    """
    counts = clips_an_epoch(sizes, weights)
    first = np.cumsum([0, *sizes])
    drawn = [
        first[number] + _draw(size, count, (seed, epoch, number))
        for number, (size, count) in enumerate(zip(sizes, counts, strict=True))
    ]
    place = np.concatenate([(np.arange(count) + 0.5) / count for count in counts])
    return np.concatenate(drawn)[np.argsort(place, kind="stable")]


def _draw(size: int, count: int, which: tuple[int, int, int]) -> np.ndarray:
    # An epoch's stretch of an endless row of permutations.
    seed, epoch, number = which
    begin, end = epoch * count, (epoch + 1) * count
    rounds = range(begin // size, -(-end // size))
    # Zeros at the end of a seed make no difference: the first data set draws as if it were alone.
    rngs = (np.random.default_rng([seed, round_, 0, number]) for round_ in rounds)
    row = np.concatenate([rng.permutation(size) for rng in rngs])
    return row[begin - rounds.start * size :][:count]
