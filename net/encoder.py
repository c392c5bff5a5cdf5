"""The encoder: tokens of one or several modalities in, one feature of a clip out."""

import copy
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data_gen.datasets.skeletons import NTU, Layout
from net.modalities import MODALITIES, SPATIAL_TOKEN, Tokens

MAX_POSITIONS = 200


def sinusoid(positions: int, width: int) -> Tensor:
    """Sinusoidal position encoding (positions, width), Vaswani et al. 2017, section 3.5."""
    position = torch.arange(positions).unsqueeze(1)  # (positions, 1)
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))  # (width / 2,)
    encoding = torch.zeros(positions, width)
    encoding[:, 0::2] = torch.sin(position * rate)
    encoding[:, 1::2] = torch.cos(position * rate)[:, : width // 2]
    return encoding


class TransformerLayer(nn.TransformerEncoderLayer):
    """A post-norm transformer layer without dropout: (N, L, H) -> (N, L, H).

    The parent's weights, and but for rounding its outputs.
    """

    def __init__(self, hidden_size: int, num_head: int):
        super().__init__(hidden_size, num_head, hidden_size, dropout=0.0, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        # Evaluation may be of a single clip, for which products of weights are no gain.
        short = self.training and self.self_attn.num_heads == 1
        attend = self.attend_with_one_head if short else self.attend
        x = self.norm1(x + attend(x))
        return self.norm2(x + self.linear2(self.linear1(x).relu_()))

    def attend(self, x: Tensor) -> Tensor:
        """Self-attention of the tokens: (N, L, H) -> (N, L, H)."""
        weights = self.self_attn
        packed = F.linear(x, weights.in_proj_weight, weights.in_proj_bias)  # (N, L, 3H)
        packed = packed.unflatten(-1, (3, weights.num_heads, weights.head_dim))
        query, key, value = packed.permute(2, 0, 3, 1, 4)  # each (N, heads, L, H / heads)
        attended = F.scaled_dot_product_attention(query, key, value)
        return weights.out_proj(attended.transpose(1, 2).flatten(2))

    def attend_with_one_head(self, x: Tensor) -> Tensor:
        """The same, of a single head, by two linear maps of the tokens instead of four.

        Query and key meet only in their product, (Wq x + q)ᵀ (Wk y + k) for tokens x and y. So
        Wkᵀ (Wq x + q) may take the place of the query and y that of the key; what is left out is
        the same for all y, which the softmax ignores. Likewise output and value are one map, and
        since the weights of the values sum to 1, their bias may be added before.
        """
        weights = self.self_attn
        to_query, to_key, to_value = weights.in_proj_weight.chunk(3)  # each (H, H)
        query_bias, _, value_bias = weights.in_proj_bias.chunk(3)  # each (H,)
        to_out, out_bias = weights.out_proj.weight, weights.out_proj.bias
        to_key = to_key.mT * weights.head_dim**-0.5
        maps = torch.cat([to_key @ to_query, to_out @ to_value])  # (2H, H)
        biases = torch.cat([to_key @ query_bias, to_out @ value_bias + out_bias])
        query, value = F.linear(x, maps, biases).chunk(2, dim=-1)  # each (N, L, H)
        return (query @ x.mT).softmax(-1) @ value


class Transformer(nn.Module):
    """Transformer layers that start as copies of one: (N, L, H) -> (N, L, H)."""

    def __init__(self, hidden_size: int, num_head: int, num_layer: int):
        super().__init__()
        layer = TransformerLayer(hidden_size, num_head)
        self.layers = nn.ModuleList(copy.deepcopy(layer) for _ in range(num_layer))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


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
                    nn.ReLU(inplace=True),
                    nn.Linear(hidden_size, hidden_size),
                )
                for modality in MODALITIES
            }
        )
        self.fusion = nn.Linear(hidden_size, hidden_size, bias=False)
        positions = sinusoid(MAX_POSITIONS, hidden_size) if ordered else None
        self.register_buffer("positions", positions, persistent=False)
        self.transformer = Transformer(hidden_size, num_head, num_layer)

    def embed(self, view: dict[str, Tensor]) -> Tensor:
        """Tokens {modality: (B, L, token_size)}, fused if of several modalities -> (B, L, H)."""
        embedded = [self.embeddings[modality](tokens) for modality, tokens in view.items()]
        if len(embedded) == 1:
            return embedded[0]
        # The fusion of the mean; dividing its small weight instead saves a pass over all tokens.
        return F.linear(sum(embedded), self.fusion.weight / len(embedded))

    def forward(self, views: Sequence[dict[str, Tensor]]) -> Tensor:
        """views: each {modality: (B, L, token_size)} -> (sum of the views' B, H)."""
        x = torch.cat([self.embed(view) for view in views])  # (N, L, H)
        if self.positions is not None:
            x += self.positions[: x.shape[1]].to(x.dtype)
        # The gradient of `max` goes to one token; that of `amax` takes several passes over all.
        return self.transformer(x).max(1).values


class Encoder(nn.Module):
    """Features of clips from any set of modalities, with one set of weights.

    Temporal tokens (64 frames, with position encoding) and spatial tokens (a joint of a body each,
    50 of NTU, without)
    each go through a transformer; the maxima over tokens are concatenated. A view of one modality
    skips the fusion, one of several is fused by the mean of its embeddings and a linear map.
    """

    def __init__(
        self,
        hidden_size: int = 1024,
        num_head: int = 1,
        num_layer: int = 1,
        layout: Layout = NTU,
    ):
        """layout: the bodies and the skeleton of a frame, which the views have to be of."""
        super().__init__()
        sizes = hidden_size, num_head, num_layer
        self.temporal = TokenStream(layout.frame_size, *sizes, ordered=True)
        self.spatial = TokenStream(SPATIAL_TOKEN, *sizes, ordered=False)
        self.feature_size = 2 * hidden_size
        self.layout = layout

    def forward(self, *views: dict[str, Tokens]) -> Tensor:
        """Encode views in one pass.

        views: each with the tokens of its modalities, as `net.modalities.derive` makes them ->
        (sum of the views' B, 2H), the views one after another.
        """
        temporal = [{m: tokens.temporal for m, tokens in view.items()} for view in views]
        spatial = [{m: tokens.spatial for m, tokens in view.items()} for view in views]
        return torch.cat([self.temporal(temporal), self.spatial(spatial)], dim=-1)


class SpatialPositionsEncoder(Encoder):
    """The encoder with a learned position encoding on the spatial tokens, too.

    As in USDRL (Weng et al., AAAI 2025), it tells which joint of which body a token is.
    """

    def __init__(
        self,
        hidden_size: int = 1024,
        num_head: int = 1,
        num_layer: int = 1,
        layout: Layout = NTU,
    ):
        super().__init__(hidden_size, num_head, num_layer, layout)
        tokens = layout.bodies * layout.skeleton.num_joints
        del self.spatial.positions  # a buffer, which is None
        self.spatial.positions = nn.Parameter(torch.empty(tokens, hidden_size))
        nn.init.trunc_normal_(self.spatial.positions, std=0.02)
