"""pretrain.py in float64: `-m tests.double_run flags...`

Several ranks sum in another order than one process. In float32 the rounding may then change which
token is a maximum or whether a ReLU is zero, and the results differ. In float64 they agree.
"""

import contextlib
from collections.abc import Iterator
from unittest import mock

import torch

import common
import pretrain
from feeder.batches import Batch


@contextlib.contextmanager
def in_double() -> Iterator[None]:
    """Make networks and the views of batches in float64 inside this block."""
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
        common.run(pretrain.main)
