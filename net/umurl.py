"""UmURL: the encoder with one projector for each modality."""

import torch
from torch import Tensor, nn

from net.modalities import MODALITIES, derive
from net.projectors import EncoderWithProjectors, Projector, project_together


class UmURL(EncoderWithProjectors):
    """The model of UmURL while it is pre-trained (Sun et al., ACM MM 2023)."""

    def add_projectors(self, feature_size: int, width: int) -> None:
        """Make one projector for each modality."""
        self.projectors = _one_for_each_modality(feature_size, width)

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode and project four views of the same B clips.

        views: (4, B, T, M, V, C) joint coordinates in metres, of which joint, bone, motion and the
            fused feature are taken, in this order

        Returns
        unimodal: (3, B, D), the feature of each modality alone, through its projector
        fused: (3, B, D), the fused feature, through the same three projectors
        feature: (B, F), the fused feature
        """
        features = self.encode(views)
        fused, unimodal = project(self.projectors, features)
        return unimodal, fused, features[-1]

    def encode(self, views: Tensor) -> tuple[Tensor, ...]:
        """Encode the views that `forward` takes: one for each modality, then the fused views.

        Returns the features of joint, bone and motion, then of each fused view, each (B, F).
        """
        skeleton = self.encoder.layout.skeleton
        pairs = zip(MODALITIES, views[:3], strict=True)
        single = [derive(view, (modality,), skeleton) for modality, view in pairs]
        fused = [derive(view, MODALITIES, skeleton) for view in views[3:]]
        # By the batch's own size, since torch.compile of torch 2.4 is lost in the sizes of `chunk`.
        return self.encoder(*single, *fused).unflatten(0, views.shape[:2]).unbind()


class UmURLHalves(UmURL):
    """UmURL with further projectors for the temporal and for the spatial half of each feature.

    So each half learns to be useful alone, as in USDRL (Weng et al., AAAI 2025).
    """

    def add_projectors(self, feature_size: int, width: int) -> None:
        """Make the projectors of UmURL, then one for each modality and each half."""
        super().add_projectors(feature_size, width)
        self.halves = nn.ModuleDict(
            {
                name: _one_for_each_modality(feature_size // 2, width)
                for name in ("temporal", "spatial")
            }
        )

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Encode and project four views, and project the halves of their features.

        views: as `UmURL.forward` takes them

        Returns
        unimodal, fused: as `UmURL.forward` returns them
        temporal, spatial: each (2, 3, B, D), the projected half of the fused feature, then the
            projected halves of the features of each modality alone
        feature: (B, F), the fused feature
        """
        features = self.encode(views)
        fused, unimodal = project(self.projectors, features)
        halves = zip(*(feature.chunk(2, dim=-1) for feature in features), strict=True)
        pairs = zip(self.halves.values(), halves, strict=True)
        temporal, spatial = (project(projectors, half) for projectors, half in pairs)
        return unimodal, fused, temporal, spatial, features[-1]


class UmURLPair(UmURL):
    """UmURL with a second fused view. The loss pulls the features of both fused views together.

    Without the second view UmURL compares the fused feature only with features of one modality.
    """

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Encode and project five views of the same B clips.

        views: (5, B, T, M, V, C) joint coordinates in metres: four views as `UmURL.forward` takes
            them, then the second fused view

        Returns
        unimodal, fused: as `UmURL.forward` returns them
        second: (3, B, D), the second fused feature, through the same three projectors
        feature: (B, F), the first fused feature
        """
        features = self.encode(views)
        fused, unimodal, second = project(self.projectors, features)
        return unimodal, fused, second, features[3]


def project(projectors: nn.ModuleDict, features: tuple[Tensor, ...]) -> Tensor:
    """Project the feature of each modality, and each fused feature, by the modality's projector.

    projectors: {modality: its projector}
    features: of joint, bone, motion, then K features of all three fused, each (B, F)
    Returns (1 + K, 3, B, D): the projected first fused feature, the projected features of the
    modalities, the other projected fused features. The fused feature goes first, as in the
    published code: the running statistics of batch norm depend on the order.
    """
    single, (fused, *others) = features[:3], features[3:]
    sets = [torch.stack([fused, x, *others]) for x in single]
    return torch.stack(project_together([projectors[m] for m in MODALITIES], sets), dim=1)


def _one_for_each_modality(feature_size: int, width: int) -> nn.ModuleDict:
    return nn.ModuleDict({m: Projector(feature_size, width) for m in MODALITIES})
