"""Projectors, and what every method trains: an encoder followed by projectors."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from feeder.skeletons import NTU, Layout
from net.batch_norm import SyncBatchNorm1d, normalize_together
from net.encoder import Encoder


class Projector(nn.Sequential):
    """Three linear layers; batch norm and ReLU follow the first and the second layer."""

    def __init__(self, width_in: int, width_out: int):
        super().__init__(
            nn.Linear(width_in, width_in),
            SyncBatchNorm1d(width_in),
            nn.ReLU(),
            nn.Linear(width_in, width_in),
            SyncBatchNorm1d(width_in),
            nn.ReLU(),
            nn.Linear(width_in, width_out),
        )

    def forward(self, *features: Tensor) -> Tensor:
        """Project K sets of features, each (B, width_in), in one pass -> (K, B, width_out).

        Each set has its own batch statistics. The running statistics of batch norm are updated
        once for each set, in the order of the sets.
        """
        return project_together([self], [torch.stack(features)])[0]


def project_together(projectors: Sequence[Projector], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Apply several projectors, each to its own K sets of features.

    inputs: for each projector (K, B, width_in)
    Returns for each projector (K, B, width_out).

    All projectors compute the same layer before any computes the next layer. So one message to the
    other ranks serves the batch norms of all projectors.
    """
    for layers in zip(*projectors, strict=True):
        if isinstance(layers[0], SyncBatchNorm1d):
            inputs = normalize_together(layers, inputs)
        else:
            inputs = [layer(x) for layer, x in zip(layers, inputs, strict=True)]
    return list(inputs)


class EncoderWithProjectors(nn.Module):
    """An encoder and the projectors that its features go through while they are pre-trained.

    A subclass makes its projectors in `add_projectors` and uses them in `forward`.
    """

    def __init__(
        self,
        hidden_size: int = 1024,
        num_head: int = 1,
        num_layer: int = 1,
        projector_width: int = 4096,
        layout: Layout = NTU,
        encoder: Callable[..., nn.Module] = Encoder,
    ):
        """Build the encoder, then its projectors.

        hidden_size: width H of a token
        num_head: attention heads in a transformer layer
        num_layer: layers in each transformer
        projector_width: width D of a projected feature
        layout: the bodies and the skeleton in a frame
        encoder: builds an encoder from (hidden_size, num_head, num_layer, layout)
        """
        super().__init__()
        self.encoder = encoder(hidden_size, num_head, num_layer, layout)
        self.add_projectors(self.encoder.feature_size, projector_width)

    def add_projectors(self, feature_size: int, width: int) -> None:
        """Make the projectors of this model.

        feature_size: width F of the encoder's features
        width: width D of a projected feature
        """
        raise NotImplementedError
