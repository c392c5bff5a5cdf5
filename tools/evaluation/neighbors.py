"""Exact nearest neighbors by cosine similarity, computed in chunks that bound the memory."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

CHUNK = 2**26  # similarities that are held at one time: 256 MiB of float32


@torch.inference_mode()
def nearest(queries: Tensor, bank: Tensor, k: int, chunk: int = CHUNK) -> tuple[Tensor, Tensor]:
    """Find the k rows of a feature bank that are nearest to each query by cosine similarity.

    queries: (n, D). bank: (m, D), on the same device. k: from 1 to m.
    Returns similarities and indices (n, k), nearest first; of equally near rows, the first.
    """
    best = [_largest(found, k) for _, found in _similarities(queries, bank, chunk)]
    return torch.cat([values for values, _ in best]), torch.cat([indices for _, indices in best])


def _similarities(queries: Tensor, bank: Tensor, chunk: int) -> Iterator[tuple[slice, Tensor]]:
    """Yield slices of queries and their similarities (rows, m), overwritten by the next ones."""
    queries, bank = F.normalize(queries), F.normalize(bank)
    rows = max(1, chunk // len(bank))
    found = queries.new_empty(min(rows, len(queries)), len(bank))
    chunks = range(0, len(queries), rows)
    for first in tqdm(chunks, desc="comparing", unit="chunk", leave=False, disable=None, delay=2):
        part = slice(first, min(first + rows, len(queries)))
        yield part, torch.mm(queries[part], bank.T, out=found[: part.stop - first])


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
    """Majority vote: classes (n, k), nearest first -> (n,). Ties go to the nearest."""
    same = classes[:, :, None] == classes[:, None, :]  # (n, k, k)
    # argmax takes the first of equal counts, which is the nearest neighbor's.
    return classes.gather(1, same.sum(2).argmax(1, keepdim=True)).squeeze(1)


def percent(right: Tensor) -> float:
    """Percent of true values in (n,) bool."""
    return 100 * right.sum().item() / len(right)


@torch.inference_mode()
def average_precision(
    queries: Tensor, bank: Tensor, truth: Tensor, classes: Tensor, chunk: int = CHUNK // 8
) -> Tensor:
    """Average precision (n,) of queries (n, D) of classes `truth`, ranking the bank (m, D).

    The mean of the precision at the rank of each row of the query's class (Manning et al.,
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
