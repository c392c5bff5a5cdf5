"""pretrain.py in float64, in which several ranks and one process agree strictly.

`-m tests.double_run flags...`; in float32 their orders of summation part them at the first maximum
or ReLU that rounding tips over.
"""

import contextlib
from collections.abc import Iterator
from unittest import mock

import torch

import pretrain
from feeder.batches import Batch
from tools import cli


@contextlib.contextmanager
def in_double() -> Iterator[None]:
    """Let networks be made in float64 and batches give their views in it."""
    views = Batch.views

    def in_float64(batch: Batch, *arguments) -> torch.Tensor:
        clips = batch.clips._replace(frames=batch.clips.frames.double())
        return views(batch._replace(clips=clips), *arguments)

    torch.set_default_dtype(torch.float64)
    try:
        with mock.patch.object(Batch, "views", in_float64):
            yield
    finally:
        torch.set_default_dtype(torch.float32)


if __name__ == "__main__":
    with in_double():
        cli.run(pretrain.main)
