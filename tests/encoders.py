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
        self.input_norm = nn.BatchNorm1d(joints * 3)
        self.spatial = nn.Conv2d(3, feature_size, 1)
        self.norm = nn.BatchNorm2d(feature_size)
        self.temporal = nn.Conv2d(feature_size, feature_size, (9, 1), padding=(4, 0))

    def forward(self, *views: dict[str, Tokens]) -> Tensor:
        parts = [next(iter(view.values())).temporal for view in views]
        frames = torch.cat(parts).unflatten(2, self.layout.frame_shape)  # (n, T, M, V, C)
        x = frames.transpose(1, 2).flatten(0, 1)  # (n·M, T, V, C)
        shape = x.shape[1:]
        x = self.input_norm(x.flatten(2).flatten(0, 1)).view(-1, *shape).permute(0, 3, 1, 2)
        x = torch.einsum("nctv,wv->nctw", self.spatial(x), self.edges)
        x = self.temporal(self.norm(x).relu())  # (n·M, H, T, V)
        return x.unflatten(0, (-1, self.layout.bodies)).mean((1, 3, 4))
