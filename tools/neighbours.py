"""Exact nearest neighbours by cosine similarity, in chunks that bound the memory."""

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 2**26  # similarities held at once: 256 MiB of float32


@torch.inference_mode()
def nearest(queries: Tensor, database: Tensor, k: int, chunk: int = CHUNK) -> tuple[Tensor, Tensor]:
    """The k nearest rows of a database to each query, by cosine similarity, nearest first.

    queries: (n, D), database: (m, D), float32, on one device; 1 <= k <= m. Returns similarities
    (n, k) and indices (n, k). Beside its arguments and result it holds normalised copies of both
    and at most `chunk` similarities at a time.
    """
    queries, database = F.normalize(queries), F.normalize(database)
    rows = max(1, chunk // len(database))
    best = [(part @ database.T).topk(k) for part in queries.split(rows)]
    return torch.cat([b.values for b in best]), torch.cat([b.indices for b in best])


def vote(classes: Tensor) -> Tensor:
    """The class that most neighbours have, of equals the nearest one's: (n, k) -> (n,)."""
    same = classes[:, :, None] == classes[:, None, :]  # (n, k, k)
    # argmax takes the first of equals, which is the nearest.
    return classes.gather(1, same.sum(2).argmax(1, keepdim=True)).squeeze(1)
