"""Exact nearest neighbors by cosine similarity, computed in chunks that bound the memory."""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from common import UserError
from tools.evaluation.features import ALL_LABELS, Features, Halves, Labels
from tools.formats.tables import write_csv

CHUNK = 2**26  # similarities that are held at one time: 256 MiB of float32
RECALLED = (1, 5)  # recall@k: percent of test clips with a clip of their class among the k nearest

SHOWN = 5  # neighbors of each query in the table


class Retrieval(NamedTuple):
    """What was found for each of m test clips.

    labeled: number of training clips that have a label, drawn by the seed.
    found, similarity: (m, k) rows of the store, nearest first, and their cosine similarities.
    predicted: (m,) classes, from 0, by a vote of the first number of neighbors.
    figures: percent, by their names in the result.
    """

    seed: int
    labeled: int
    found: np.ndarray
    similarity: np.ndarray
    predicted: Tensor
    figures: dict[str, Any]


def retrieve(
    features: Features,
    neighbors: Sequence[int] = (1,),
    labels: Labels = ALL_LABELS,
    seed: int = 0,
    *,
    rank_all: bool = False,
) -> Retrieval:
    """Find the training clips nearest to each test clip; the test clip has the class of most.

    features: of one stream.
    neighbors: how many vote; an accuracy for each.
    labels: how many training clips of each class can be found; the seed draws them.
    rank_all: compute mean average precision, too.
    Raises UserError where there are fewer training clips than neighbors.
    """
    data, device = features.data, features.train.device
    labeled = labels.draw(data.store.label[data.train], seed)
    kept = torch.from_numpy(labeled).to(device)
    (queries,), (bank,) = features.test, features.train[:, kept]
    classes, truth = features.train_classes[kept], features.test_classes
    if max(neighbors) > len(bank):
        raise UserError(f"--knn-neighbours {max(neighbors)} is more than {len(bank)} clips")

    similarity, indices = nearest(queries, bank, min(max(*neighbors, *RECALLED), len(bank)))
    found = classes[indices]  # (m, k)
    accuracies = {k: percent(vote(found[:, :k]) == truth) for k in neighbors}
    recalls = {k: percent((found[:, :k] == truth[:, None]).any(1)) for k in RECALLED}
    precision = None
    if rank_all and torch.isin(truth, classes).any():
        precision = 100 * average_precision(queries, bank, truth, classes).nanmean().item()
    figures = {
        "neighbours": neighbors[0],
        "accuracy": accuracies[neighbors[0]],
        "accuracies": accuracies,
        "map": precision,
        **{f"recall_at_{k}": recall for k, recall in recalls.items()},
    }
    return Retrieval(
        seed=seed,
        labeled=len(labeled),
        found=data.train[labeled][indices.cpu().numpy()],
        similarity=similarity.cpu().numpy(),
        predicted=vote(found[:, : neighbors[0]]),
        figures=figures,
    )


def summary(runs: Sequence[Retrieval]) -> dict[str, Any]:
    """The figures of a result: means over runs, an unbiased deviation, the figures of each run."""
    each = [run.figures for run in runs]
    names = ("accuracy", "map", "recall_at_1", "recall_at_5")
    values = {name: [one[name] for one in each] for name in names}
    return {
        "neighbours": each[0]["neighbours"],
        **{k: None if None in v else statistics.fmean(v) for k, v in values.items()},
        "accuracies": {
            k: statistics.fmean(one["accuracies"][k] for one in each) for k in each[0]["accuracies"]
        },
        "accuracy_std": statistics.stdev(values["accuracy"]) if len(runs) > 1 else None,
        "runs": [{"seed": run.seed, "labelled_clips": run.labeled, **run.figures} for run in runs],
    }


def percent(right: Tensor) -> float:
    """Percent of true values in (n,) bool."""
    return 100 * right.sum().item() / len(right)


def write_table(path: Path, data: Halves, run: Retrieval) -> None:
    """Write a CSV file; a line has the query, then the name and similarity of SHOWN neighbors."""
    names, header = data.store.names, ["query"]
    rows = [[names[row]] for row in data.test]
    for i in range(min(SHOWN, run.found.shape[1])):
        header += [f"found_{i + 1}", f"similarity_{i + 1}"]
        for line, row, value in zip(rows, run.found[:, i], run.similarity[:, i], strict=True):
            line += [names[row], f"{value:.6f}"]
    write_csv(path, header, rows)


# ---- searching


def _similarities(queries: Tensor, bank: Tensor, chunk: int) -> Iterator[tuple[slice, Tensor]]:
    """Yield which queries, and their cosine similarities (rows, m), at most `chunk` at a time.

    Each yielded tensor is overwritten by the next one.
    """
    queries, bank = F.normalize(queries), F.normalize(bank)
    rows = max(1, chunk // len(bank))
    found = queries.new_empty(min(rows, len(queries)), len(bank))
    chunks = range(0, len(queries), rows)
    for first in tqdm(chunks, desc="comparing", unit="chunk", leave=False, disable=None, delay=2):
        part = slice(first, min(first + rows, len(queries)))
        yield part, torch.mm(queries[part], bank.T, out=found[: part.stop - first])


@torch.inference_mode()
def nearest(queries: Tensor, bank: Tensor, k: int, chunk: int = CHUNK) -> tuple[Tensor, Tensor]:
    """Find the k rows of a feature bank that are nearest to each query by cosine similarity.

    queries: (n, D). bank: (m, D), on the same device. k: from 1 to m.
    Returns similarities (n, k) and indices (n, k), nearest first; of equally near rows the one with
    the smaller index comes first. Memory: normalized copies of queries and bank, and the chunk.
    """
    best = [_largest(found, k) for _, found in _similarities(queries, bank, chunk)]
    return torch.cat([values for values, _ in best]), torch.cat([indices for _, indices in best])


def _largest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest values of each row of (n, m), and their indices; equal values in order."""
    top, indices = values.topk(min(k + 1, values.shape[1]))
    # topk chooses freely among equal values. Where it leaves one out, sort the whole row.
    cut = (top[:, k:] == top[:, k - 1 : k]).any(1)
    top, indices = top[:, :k].clone(), indices[:, :k].clone()
    if cut.any():
        exact = values[cut].sort(dim=1, descending=True, stable=True)
        top[cut], indices[cut] = exact.values[:, :k], exact.indices[:, :k]
    indices, order = indices.sort(1)
    top, order = top.gather(1, order).sort(dim=1, descending=True, stable=True)
    return top, indices.gather(1, order)


def joined(features: Tensor) -> Tensor:
    """Features (S, n, D) of S streams as (n, S·D), whose cosine is the mean of the S cosines."""
    return F.normalize(features, dim=2).transpose(0, 1).flatten(1)


def vote(classes: Tensor) -> Tensor:
    """The class of most neighbors: (n, k), nearest first -> (n,). The nearest decides a draw."""
    same = classes[:, :, None] == classes[:, None, :]  # (n, k, k)
    # argmax takes the first of equal counts, which is the nearest neighbor's.
    return classes.gather(1, same.sum(2).argmax(1, keepdim=True)).squeeze(1)


@torch.inference_mode()
def average_precision(
    queries: Tensor, bank: Tensor, truth: Tensor, classes: Tensor, chunk: int = CHUNK // 8
) -> Tensor:
    """Average precision (n,) of each query, if cosine similarity ranks the whole bank.

    queries: (n, D), of classes `truth` (n,). bank: (m, D), of `classes` (m,).
    It is the mean of the precision at the rank of each row of the query's class (Manning et al.,
    Introduction to Information Retrieval, section 8.4); NaN for a query without such rows.
    """
    rank = torch.arange(1, len(bank) + 1, device=bank.device)
    result = torch.empty(len(queries), device=queries.device)
    for part, found in _similarities(queries, bank, chunk):
        order = found.sort(dim=1, descending=True, stable=True).indices
        relevant = classes[order] == truth[part, None]  # (rows, m)
        precision = relevant.cumsum(1) / rank
        result[part] = (precision * relevant).sum(1) / relevant.sum(1)
    return result
