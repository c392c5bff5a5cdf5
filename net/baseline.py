"""The simple baseline that UmURL is compared with: two fused views and one projector."""

from collections.abc import Callable

from torch import Tensor, nn

from data_gen.datasets.skeletons import NTU, Layout
from net.encoder import Encoder
from net.modalities import MODALITIES, derive
from net.umurl import Projector


class Baseline(nn.Module):
    """The encoder of UmURL, trained on the fused feature alone (Sun et al. 2023, figure 2a)."""

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
        self.projector = Projector(self.encoder.feature_size, projector_width)

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs for two fused views of the same clips.

        views: (2 or more, B, T, M, V, C) joint coordinates, of which the first two are used ->
        first (1, B, D), second (1, B, D): each fused feature through the projector, each with
        batch statistics of its own,
        feature (B, 2H): the fused feature of the first view.
        """
        pair = (derive(view, MODALITIES, self.encoder.layout.skeleton) for view in views[:2])
        first, second = self.encoder(*pair).chunk(2)  # each (B, 2H)
        return *self.projector(first, second).unsqueeze(1), first
