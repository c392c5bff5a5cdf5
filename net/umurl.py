"""The models that are pre-trained: UmURL, its variant with a second fused view, the baseline.

Each is an encoder with projectors. `forward` takes the augmented views of B clips,
(views, B, T, M, V, C) in metres, and returns the projected features for the loss, then a feature
(B, F) of the encoder: the fused one, or that of the baseline's first view.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from feeder.skeletons import NTU, Layout
from net.distributed import SyncBatchNorm1d
from net.encoder import Encoder
from net.modalities import MODALITIES, derive


class Projector(nn.Sequential):
    """Three linear layers; batch norm and ReLU follow the first and the second."""

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
        """Project K sets of features, each (B, width_in) -> (K, B, width_out).

        Each set has its own batch statistics, as if the projector were called K times.
        """
        x = torch.stack(features)
        for layer in self:
            is_norm = isinstance(layer, SyncBatchNorm1d)
            x = torch.stack([layer(rows) for rows in x]) if is_norm else layer(x)
        return x


class EncoderWithProjectors(nn.Module):
    """An encoder and the projectors that its features go through during pre-training.

    A subclass makes its projectors, from features of width F to `projector_width` D, in
    `add_projectors` and uses them in `forward`. encoder: a class that takes `Encoder`'s sizes
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
        super().__init__()
        self.encoder = encoder(hidden_size, num_head, num_layer, layout)
        self.add_projectors(self.encoder.feature_size, projector_width)


class UmURL(EncoderWithProjectors):
    """UmURL (Sun et al., ACM MM 2023): one encoder, and one projector for each modality."""

    def add_projectors(self, feature_size: int, width: int) -> None:
        self.projectors = nn.ModuleDict({m: Projector(feature_size, width) for m in MODALITIES})

    def forward(self, views: Tensor) -> tuple[Tensor, ...]:
        """Encode and project the views for joint, bone, motion, then the fused view or views.

        views: (4, B, T, M, V, C), or (5, ...) with a second fused view

        Returns
        unimodal: (3, B, D), the feature of each modality through its own projector
        fused: (3, B, D), the fused feature through each of the three projectors
        second: (3, B, D), the same of the second fused view, if there is one
        feature: (B, F), the fused feature
        """
        skeleton = self.encoder.layout.skeleton
        pairs = zip(MODALITIES, views[:3], strict=True)
        single = [derive(view, (modality,), skeleton) for modality, view in pairs]
        fused = [derive(view, MODALITIES, skeleton) for view in views[3:]]
        features = self.encoder(*single, *fused)  # all views are one batch of the encoder
        y_joint, y_bone, y_motion, *y_fused = features.unflatten(0, views.shape[:2]).unbind()

        # Fused first, as published: running statistics depend on the order.
        unimodal = zip(self.projectors.values(), (y_joint, y_bone, y_motion), strict=True)
        z = torch.stack([project(y_fused[0], y, *y_fused[1:]) for project, y in unimodal], dim=1)
        z_fused, z_unimodal, *second = z.unbind()  # each (3, B, D)
        return z_unimodal, z_fused, *second, y_fused[0]


class Baseline(EncoderWithProjectors):
    """The simple baseline (Sun et al. 2023, figure 2a): two views of a clip, one projector."""

    def __init__(self, *args: Any, modalities: tuple[str, ...] = MODALITIES, **kwargs: Any):
        """As its parent; `modalities` are those of both views."""
        super().__init__(*args, **kwargs)
        self.modalities = modalities

    def add_projectors(self, feature_size: int, width: int) -> None:
        self.projector = Projector(feature_size, width)

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode and project both views (2, B, T, M, V, C).

        Returns
        first, second: each (1, B, D), the projected feature of one view
        feature: (B, F), the feature of the first view
        """
        skeleton = self.encoder.layout.skeleton
        pair = (derive(view, self.modalities, skeleton) for view in views)
        first, second = self.encoder(*pair).unflatten(0, views.shape[:2]).unbind()  # each (B, F)
        return *self.projector(first, second).unsqueeze(1), first
