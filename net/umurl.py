"""UmURL: the encoder with one projector a modality."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from data_gen.datasets.skeletons import NTU, Layout
from net.batch_norm import SyncBatchNorm1d, normalize_together
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
        return project_together([self], [torch.stack(features)])[0]


def project_together(projectors: Sequence[Projector], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Several projectors, each on its K sets (K, B, width_in) -> each (K, B, width_out).

    Layer by layer, so that batch norm asks the other ranks once for all of them.
    """
    for layers in zip(*projectors, strict=True):
        if isinstance(layers[0], SyncBatchNorm1d):
            inputs = normalize_together(layers, inputs)
        else:
            inputs = [layer(x) for layer, x in zip(layers, inputs, strict=True)]
    return list(inputs)


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
        features = self.encode(views)
        fused, unimodal = project(self.projectors, features)
        return unimodal, fused, features[-1]

    def encode(self, views: Tensor) -> tuple[Tensor, ...]:
        """The features of four views, as `forward` takes them: four times (B, 2H), fused last."""
        skeleton = self.encoder.layout.skeleton
        pairs = zip(MODALITIES, views[:3], strict=True)
        single = [derive(view, (modality,), skeleton) for modality, view in pairs]
        fourth = derive(views[3], MODALITIES, skeleton)
        return self.encoder(*single, fourth).chunk(4)


def project(projectors: nn.ModuleDict, features: tuple[Tensor, ...]) -> Tensor:
    """Each modality's and the fused feature through the modality's projector.

    features: of joint, bone, motion, and fused, each (B, F) -> (2, 3, B, D): the projected fused
    feature, then the unimodal ones. The fused feature goes first, as in the published code.
    """
    *single, fused = features
    pairs = [torch.stack([fused, x]) for x in single]
    return torch.stack(project_together([projectors[m] for m in MODALITIES], pairs), dim=1)


class UmURLHalves(UmURL):
    """UmURL that also projects the temporal and the spatial half of each feature on their own.

    As USDRL does (Weng et al., AAAI 2025), which trains each half to be useful alone.
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
        super().__init__(hidden_size, num_head, num_layer, projector_width, layout, encoder)
        half = self.encoder.feature_size // 2
        self.halves = nn.ModuleDict(
            {
                name: nn.ModuleDict({m: Projector(half, projector_width) for m in MODALITIES})
                for name in ("temporal", "spatial")
            }
        )

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """As of UmURL, and before the feature temporal and spatial, each (2, 3, B, D).

        These are the projected halves of the fused feature, then those of the unimodal ones.
        """
        features = self.encode(views)
        fused, unimodal = project(self.projectors, features)
        halves = zip(*(feature.chunk(2, dim=-1) for feature in features), strict=True)
        pairs = zip(self.halves.values(), halves, strict=True)
        temporal, spatial = (project(projectors, half) for projectors, half in pairs)
        return unimodal, fused, temporal, spatial, features[-1]
