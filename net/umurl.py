"""UmURL: the encoder with one projector a modality."""

import torch
from torch import Tensor, nn

from net.batch_norm import SyncBatchNorm1d
from net.encoder import Encoder
from net.modalities import MODALITIES, derive


def projector(width_in: int, width_out: int) -> nn.Sequential:
    """Three linear layers with batch norm between: (B, width_in) -> (B, width_out)."""
    return nn.Sequential(
        nn.Linear(width_in, width_in),
        SyncBatchNorm1d(width_in),
        nn.ReLU(),
        nn.Linear(width_in, width_in),
        SyncBatchNorm1d(width_in),
        nn.ReLU(),
        nn.Linear(width_in, width_out),
    )


class UmURL(nn.Module):
    """Encoder and projectors, as they are pre-trained (Sun et al., ACM MM 2023)."""

    def __init__(
        self,
        hidden_size: int = 1024,
        num_head: int = 1,
        num_layer: int = 1,
        projector_width: int = 4096,
    ):
        super().__init__()
        self.encoder = Encoder(hidden_size, num_head, num_layer)
        width = self.encoder.feature_size
        self.projectors = nn.ModuleDict({m: projector(width, projector_width) for m in MODALITIES})

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs for four views of the same clips.

        views: (4, B, T, M, V, C) joint coordinates of the joint, bone, motion and fused view ->
        own (3, B, D): each modality's own feature through its projector,
        fused (3, B, D): the fused feature through the same projectors,
        feature (B, 2H): the fused feature itself.
        """
        single = [derive(view, (m,)) for m, view in zip(MODALITIES, views[:3], strict=True)]
        *features, feature = self.encoder(*single, derive(views[3])).chunk(4)  # each (B, 2H)
        # Batch norm sees the fused and a modality's own feature in turn, never mixed; the order
        # is the published one, which its running statistics show.
        fused = [self.projectors[m](feature) for m in MODALITIES]
        own = [self.projectors[m](x) for m, x in zip(MODALITIES, features, strict=True)]
        return torch.stack(own), torch.stack(fused), feature
