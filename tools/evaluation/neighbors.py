"""Exact nearest neighbors by cosine similarity, in chunks that bound the memory."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

CHUNK = 2**26  # similarities held at once: 256 MiB of float32


def _similarities(queries: Tensor, database: Tensor, chunk: int) -> Iterator[tuple[slice, Tensor]]:
    """Cosine similarities (rows, m) of some queries after another, at most `chunk` at a time.

    All in the same memory: what is yielded lasts until the next.
    """
    queries, database = F.normalize(queries), F.normalize(database)
    rows = max(1, chunk // len(database))
    chunks = range(0, len(queries), rows)
    found = queries.new_empty(min(rows, len(queries)), len(database))
    # A bar for what takes longer than a moment, where there is a terminal.
    for first in tqdm(chunks, desc="comparing", unit="chunk", leave=False, disable=None, delay=2):
        part = slice(first, min(first + rows, len(queries)))
        yield part, torch.mm(queries[part], database.T, out=found[: part.stop - first])


@torch.inference_mode()
def nearest(queries: Tensor, database: Tensor, k: int, chunk: int = CHUNK) -> tuple[Tensor, Tensor]:
    """The k nearest rows of a database to each query, by cosine similarity, nearest first.

    queries: (n, D), database: (m, D), float32, on one device; 1 <= k <= m. Returns similarities
    (n, k) and indices (n, k); of equally near rows the first one comes first. Beside its arguments
    and result it holds normalized copies of both and at most `chunk` similarities at a time.
    """
    best = [_largest(found, k) for _, found in _similarities(queries, database, chunk)]
    return torch.cat([values for values, _ in best]), torch.cat([indices for _, indices in best])


def _largest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row of (n, m), and where; of equals the first one, first."""
    largest, indices = values.topk(min(k + 1, values.shape[1]))
    # topk takes any of equals: which are kept matters where one is left out, their order always.
    cut = (largest[:, k:] == largest[:, k - 1 : k]).any(1)
    largest, indices = largest[:, :k].clone(), indices[:, :k].clone()
    if cut.any():
        exact = values[cut].sort(dim=1, descending=True, stable=True)
        largest[cut], indices[cut] = exact.values[:, :k], exact.indices[:, :k]
    indices, order = indices.sort(1)
    largest, order = largest.gather(1, order).sort(dim=1, descending=True, stable=True)
    return largest, indices.gather(1, order)


def vote(classes: Tensor) -> Tensor:
    """The class that most neighbors have, of equals the nearest one's: (n, k) -> (n,)."""
    same = classes[:, :, None] == classes[:, None, :]  # (n, k, k)
    # argmax takes the first of equals, which is the nearest.
    return classes.gather(1, same.sum(2).argmax(1, keepdim=True)).squeeze(1)


@torch.inference_mode()
def average_precision(
    queries: Tensor,
    database: Tensor,
    query_classes: Tensor,
    classes: Tensor,
    chunk: int = CHUNK // 8,
) -> Tensor:
    """Average precision of ranking a whole database by cosine similarity to each query: (n,).

    queries: (n, D), database: (m, D), float32; query_classes: (n,), classes: (m,). A row of the
    query's class is relevant; average precision is the mean, over the relevant rows, of the share
    of relevant ones among those ranked as high or higher (Manning et al., Introduction to
    Information Retrieval, section 8.4). NaN for a query without a relevant row. At most `chunk`
    similarities, and a few arrays as large, are held at a time.
    """
    rank = torch.arange(1, len(database) + 1, device=database.device)
    result = torch.empty(len(queries), device=queries.device)
    for part, found in _similarities(queries, database, chunk):
        order = found.sort(dim=1, descending=True, stable=True).indices
        relevant = classes[order] == query_classes[part, None]  # (rows, m)
        precision = relevant.cumsum(1) / rank
        result[part] = (precision * relevant).sum(1) / relevant.sum(1)
    return result
