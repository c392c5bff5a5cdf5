"""Exact nearest neighbors by cosine similarity, computed in chunks that bound the memory."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

CHUNK = 2**26  # similarities that are held at one time: 256 MiB of float32


def _similarities(queries: Tensor, database: Tensor, chunk: int) -> Iterator[tuple[slice, Tensor]]:
    """Yield the similarities (rows, m) of some queries at a time, and which queries these are.

    chunk: most similarities at a time. Each yielded tensor is overwritten by the next one.
    """
    queries, database = F.normalize(queries), F.normalize(database)
    rows = max(1, chunk // len(database))
    chunks = range(0, len(queries), rows)
    found = queries.new_empty(min(rows, len(queries)), len(database))
    # The bar appears on a terminal after two seconds.
    for first in tqdm(chunks, desc="comparing", unit="chunk", leave=False, disable=None, delay=2):
        part = slice(first, min(first + rows, len(queries)))
        yield part, torch.mm(queries[part], database.T, out=found[: part.stop - first])


@torch.inference_mode()
def nearest(queries: Tensor, database: Tensor, k: int, chunk: int = CHUNK) -> tuple[Tensor, Tensor]:
    """Find the k rows of a database that are nearest to each query by cosine similarity.

    queries: (n, D) float32.
    database: (m, D) float32, on the same device.
    k: from 1 to m.
    chunk: most similarities that are held at one time.
    Returns similarities (n, k) and indices (n, k), nearest first; of equally near rows the one with
    the smaller index comes first. Memory: normalized copies of queries and database, and the chunk.
    """
    best = [_largest(found, k) for _, found in _similarities(queries, database, chunk)]
    return torch.cat([values for values, _ in best]), torch.cat([indices for _, indices in best])


def _largest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest values of each row of (n, m), and their indices.

    Equal values stay in their order.
    """
    largest, indices = values.topk(min(k + 1, values.shape[1]))
    # topk chooses freely among equal values. If it leaves one out, sort the row exactly; in any
    # case put equal values in order.
    cut = (largest[:, k:] == largest[:, k - 1 : k]).any(1)
    largest, indices = largest[:, :k].clone(), indices[:, :k].clone()
    if cut.any():
        exact = values[cut].sort(dim=1, descending=True, stable=True)
        largest[cut], indices[cut] = exact.values[:, :k], exact.indices[:, :k]
    indices, order = indices.sort(1)
    largest, order = largest.gather(1, order).sort(dim=1, descending=True, stable=True)
    return largest, indices.gather(1, order)


def joined(features: Tensor) -> Tensor:
    """Features (S, n, D) of S streams as one of each clip, in which streams weigh the same.

    The cosine of two joined features (n, S·D) is the mean of the streams' cosines.
    """
    return F.normalize(features, dim=2).transpose(0, 1).flatten(1)


def vote(classes: Tensor) -> Tensor:
    """The class of most neighbors: (n, k) -> (n,).

    If several classes have as many neighbors, the class of the nearest of these is taken.
    """
    same = classes[:, :, None] == classes[:, None, :]  # (n, k, k)
    # argmax takes the first of equal counts, which is the nearest neighbor's.
    return classes.gather(1, same.sum(2).argmax(1, keepdim=True)).squeeze(1)


@torch.inference_mode()
def average_precision(
    queries: Tensor,
    database: Tensor,
    query_classes: Tensor,
    classes: Tensor,
    chunk: int = CHUNK // 8,
) -> Tensor:
    """Average precision of each query, if cosine similarity ranks the whole database: (n,).

    queries: (n, D) float32.
    database: (m, D) float32, on the same device.
    query_classes, classes: (n,) and (m,), the classes of queries and database.
    chunk: most similarities that are held at one time; a few more arrays of this size are held,
        too.

    A row of the query's class is relevant. Average precision is the mean of the precision at the
    rank of each relevant row (Manning et al., Introduction to Information Retrieval, section 8.4).
    It is NaN for a query without relevant rows.
    """
    rank = torch.arange(1, len(database) + 1, device=database.device)
    result = torch.empty(len(queries), device=queries.device)
    for part, found in _similarities(queries, database, chunk):
        order = found.sort(dim=1, descending=True, stable=True).indices
        relevant = classes[order] == query_classes[part, None]  # (rows, m)
        precision = relevant.cumsum(1) / rank
        result[part] = (precision * relevant).sum(1) / relevant.sum(1)
    return result
