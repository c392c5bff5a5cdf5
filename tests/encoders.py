"""An encoder for tests that is no transformer: graph convolution with batch norm, as in ST-GCN."""

import torch
from torch import Tensor, nn

from feeder.skeletons import NTU, Layout
from net.modalities import Tokens


class GraphEncoder(nn.Module):
    """One graph convolution, then the mean over bodies, joints and frames.

    Takes the temporal tokens (B, T, M·V·C) of the first modality of each view, and returns
    (sum of all B, feature_size).
    """

    def __init__(self, feature_size: int, layout: Layout = NTU):
        super().__init__()
        self.feature_size, self.layout = feature_size, layout
        joints, parents = layout.skeleton.num_joints, list(layout.skeleton.parents)
        edges = torch.eye(joints)
        edges[range(joints), parents] = 1
        self.register_buffer("edges", edges / edges.sum(1, keepdim=True))
        self.spatial = nn.Linear(3, feature_size)
        self.norm = nn.BatchNorm1d(feature_size)

    def forward(self, *views: dict[str, Tokens]) -> Tensor:
        tokens = torch.cat([next(iter(view.values())).temporal for view in views])
        frames = tokens.unflatten(2, self.layout.frame_shape)  # (n, T, M, V, C)
        x = self.spatial(self.edges @ frames)  # (n, T, M, V, H)
        return self.norm(x.flatten(0, 3)).view(x.shape).relu().mean((1, 2, 3))
