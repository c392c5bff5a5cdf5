"""The simple baseline that UmURL is compared with: two fused views and one projector.

The same method with a single modality is declared here, too.
"""

from torch import Tensor

from net.modalities import MODALITIES, derive
from net.projectors import EncoderWithProjectors, Projector


class Baseline(EncoderWithProjectors):
    """The encoder of UmURL, trained on the fused feature alone (Sun et al. 2023, figure 2a)."""

    modalities = MODALITIES  # the modalities of both views

    def add_projectors(self, feature_size: int, width: int) -> None:
        """Make the only projector."""
        self.projector = Projector(feature_size, width)

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode and project two views of the same B clips.

        views: (2 or more, B, T, M, V, C) joint coordinates in metres; the first two views are used

        Returns
        first, second: each (1, B, D), the projected feature of one view; each view has its
            own batch statistics
        feature: (B, F), the feature of the first view
        """
        views, skeleton = views[:2], self.encoder.layout.skeleton
        pair = (derive(view, self.modalities, skeleton) for view in views)
        first, second = self.encoder(*pair).unflatten(0, views.shape[:2]).unbind()  # each (B, F)
        return *self.projector(first, second).unsqueeze(1), first


class JointAlone(Baseline):
    """The encoder of UmURL, trained on two views of the joint modality."""

    modalities = ("joint",)


class BoneAlone(Baseline):
    """The encoder of UmURL, trained on two views of the bone modality."""

    modalities = ("bone",)


class MotionAlone(Baseline):
    """The encoder of UmURL, trained on two views of the motion modality."""

    modalities = ("motion",)
