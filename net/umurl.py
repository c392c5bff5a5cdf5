"""UmURL: the encoder with one projector a modality."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from data_gen.datasets.skeletons import NTU, Layout
from net.batch_norm import SyncBatchNorm1d
from net.encoder import Encoder
from net.modalities import MODALITIES, derive


class Projector(nn.Sequential):
    """Three linear layers with batch norm between."""

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

        Batch norm sees one set after the other, never mixed; its running statistics show the order.
        """
        x = torch.stack(features)
        for layer in self:
            apart = isinstance(layer, SyncBatchNorm1d)
            x = torch.stack([layer(part) for part in x]) if apart else layer(x)
        return x


class UmURL(nn.Module):
    """Encoder and projectors, as they are pre-trained (Sun et al., ACM MM 2023)."""

    def __init__(
        self,
        hidden_size: int = 1024,
        num_head: int = 1,
        num_layer: int = 1,
        projector_width: int = 4096,
        layout: Layout = NTU,
        encoder: Callable[..., nn.Module] = Encoder,
    ):
        super().__init__()
        self.encoder = encoder(hidden_size, num_head, num_layer, layout)
        width = self.encoder.feature_size
        self.projectors = nn.ModuleDict({m: Projector(width, projector_width) for m in MODALITIES})

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs for four views of the same clips.

        views: (4, B, T, M, V, C) joint coordinates of the joint, bone, motion and fused view ->
        unimodal (3, B, D): each modality's own feature through its projector,
        fused (3, B, D): the fused feature through the same projectors,
        feature (B, 2H): the fused feature itself.
        """
        skeleton = self.encoder.layout.skeleton
        pairs = zip(MODALITIES, views[:3], strict=True)
        single = [derive(view, (modality,), skeleton) for modality, view in pairs]
        fourth = derive(views[3], MODALITIES, skeleton)
        *features, feature = self.encoder(*single, fourth).chunk(4)  # each (B, 2H)
        # The published order: the fused feature first.
        pairs = zip(MODALITIES, features, strict=True)
        fused, unimodal = torch.stack([self.projectors[m](feature, x) for m, x in pairs], dim=1)
        return unimodal, fused, feature
