"""The encoder: tokens of one or several modalities in, one feature of a clip out."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from net.modalities import (
    MODALITIES,
    SPATIAL_TOKEN,
    TEMPORAL_TOKEN,
    spatial_tokens,
    temporal_tokens,
)

MAX_POSITIONS = 200


def sinusoid(positions: int, width: int) -> Tensor:
    """Sinusoidal position encoding (positions, width), Vaswani et al. 2017, section 3.5."""
    position = torch.arange(positions).unsqueeze(1)  # (positions, 1)
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))  # (width / 2,)
    encoding = torch.zeros(positions, width)
    encoding[:, 0::2] = torch.sin(position * rate)
    encoding[:, 1::2] = torch.cos(position * rate)[:, : width // 2]
    return encoding


class TokenStream(nn.Module):
    """Half of the encoder: embed each modality's tokens, fuse them, attend, max over tokens."""

    def __init__(
        self, token_size: int, hidden_size: int, num_head: int, num_layer: int, *, ordered: bool
    ):
        super().__init__()
        self.embeddings = nn.ModuleDict(
            {
                modality: nn.Sequential(
                    nn.Linear(token_size, hidden_size),
                    nn.LayerNorm(hidden_size),
                    nn.ReLU(),
                    nn.Linear(hidden_size, hidden_size),
                )
                for modality in MODALITIES
            }
        )
        self.fusion = nn.Linear(hidden_size, hidden_size, bias=False)
        positions = sinusoid(MAX_POSITIONS, hidden_size) if ordered else None
        self.register_buffer("positions", positions, persistent=False)
        layer = nn.TransformerEncoderLayer(
            hidden_size, num_head, dim_feedforward=hidden_size, dropout=0.0, batch_first=True
        )
        self.transformer = nn.TransformerEncoder(layer, num_layer, enable_nested_tensor=False)

    def embed(self, views: Sequence[dict[str, Tensor]]) -> Tensor:
        """Tokens of each view, fused where it has several modalities, all in one batch.

        views: each {modality: (B, L, token_size)} -> (sum of the views' B, L, H). The views that
        hold a modality go through its embedding together.
        """
        parts: list[list[Tensor]] = [[] for _ in views]
        for modality, embedding in self.embeddings.items():
            having = [i for i, view in enumerate(views) if modality in view]
            if having:
                tokens = [views[i][modality] for i in having]
                embedded = embedding(torch.cat(tokens)).split([len(t) for t in tokens])
                for i, part in zip(having, embedded, strict=True):
                    parts[i].append(part)
        fuse = [p[0] if len(p) == 1 else self.fusion(sum(p) / len(p)) for p in parts]
        return torch.cat(fuse)

    def forward(self, views: Sequence[dict[str, Tensor]]) -> Tensor:
        """views: each {modality: (B, L, token_size)} -> (sum of the views' B, H)."""
        x = self.embed(views)  # (N, L, H)
        if self.positions is not None:
            x = x + self.positions[: x.shape[1]].to(x.dtype)
        return self.transformer(x).amax(1)


class Encoder(nn.Module):
    """Features of clips from any set of modalities, with one set of weights.

    Temporal tokens (64 frames, with position encoding) and spatial tokens (50 joints, without)
    each go through a transformer; the maxima over tokens are concatenated. A view of one modality
    skips the fusion, one of several is fused by the mean of its embeddings and a linear map.
    """

    def __init__(self, hidden_size: int = 1024, num_head: int = 1, num_layer: int = 1):
        super().__init__()
        self.temporal = TokenStream(TEMPORAL_TOKEN, hidden_size, num_head, num_layer, ordered=True)
        self.spatial = TokenStream(SPATIAL_TOKEN, hidden_size, num_head, num_layer, ordered=False)
        self.feature_size = 2 * hidden_size

    def forward(self, *views: dict[str, Tensor]) -> Tensor:
        """Encode views in one pass.

        views: each {modality: (B, T, M, V, C)}, as `net.modalities.derive` makes them ->
        (sum of the views' B, 2H), the views one after another.
        """
        temporal = [{m: temporal_tokens(x) for m, x in view.items()} for view in views]
        spatial = [{m: spatial_tokens(x) for m, x in view.items()} for view in views]
        return torch.cat([self.temporal(temporal), self.spatial(spatial)], dim=-1)
