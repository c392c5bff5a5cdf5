"""The encoder: from the tokens of one or several modalities to one feature for each clip."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from feeder.skeletons import NTU, Layout
from net.modalities import MODALITIES, SPATIAL_TOKEN, Tokens

MAX_POSITIONS = 200


def sinusoid(positions: int, width: int) -> Tensor:
    """Sinusoidal position encoding (positions, width); Vaswani et al. 2017, section 3.5."""
    position = torch.arange(positions).unsqueeze(1)  # (positions, 1)
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))  # (width / 2,)
    encoding = torch.zeros(positions, width)
    encoding[:, 0::2] = torch.sin(position * rate)
    encoding[:, 1::2] = torch.cos(position * rate)[:, : width // 2]
    return encoding


class LayerNorm(nn.LayerNorm):
    """Layer norm that reads and writes the precision of its input, with statistics in float32.

    Autocast on a GPU would make it read and write float32: half as many bytes are moved this way.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == self.weight.dtype:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
            return F.layer_norm(x, self.normalized_shape, weight, bias, self.eps)


class TransformerLayer(nn.TransformerEncoderLayer):
    """A post-norm transformer layer without dropout or masks: (N, L, H) -> (N, L, H).

    The weights are those of the parent class; the outputs differ from the parent's by rounding.
    """

    def __init__(self, hidden_size: int, num_head: int):
        super().__init__(hidden_size, num_head, hidden_size, dropout=0.0, batch_first=True)
        self.norm1, self.norm2 = LayerNorm(hidden_size), LayerNorm(hidden_size)

    def forward(self, x: Tensor, **_: Any) -> Tensor:
        # Merging the weights costs the same for any batch, so it pays only in training.
        merge = self.training and self.self_attn.num_heads == 1
        attend = self.attend_with_one_head if merge else self.attend
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
        """The same as `attend` for a single head, by two linear maps of the tokens, not four.

        For tokens x and y the score is (Wq x + q)ᵀ (Wk y + k). Its part (Wq x + q)ᵀ k is the same
        for all y, so the softmax ignores this part. The rest is the product of Wkᵀ (Wq x + q), the
        new query, and y, the new key. The output map and the value map become one. The attention
        weights sum to 1, so the output's bias may be added to the values.
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


class TokenBranch(nn.Module):
    """A branch of the encoder: embed the modalities' tokens, fuse, attend, take the maximum."""

    def __init__(
        self, token_size: int, hidden_size: int, num_head: int, num_layer: int, *, ordered: bool
    ):
        """Build the branch for one kind of tokens.

        token_size: numbers in a token
        hidden_size, num_head, num_layer: as `Encoder` takes them
        ordered: whether the tokens get a sinusoidal position encoding
        """
        super().__init__()
        self.embeddings = nn.ModuleDict(
            {
                modality: nn.Sequential(
                    nn.Linear(token_size, hidden_size),
                    LayerNorm(hidden_size),
                    nn.ReLU(inplace=True),
                    nn.Linear(hidden_size, hidden_size),
                )
                for modality in MODALITIES
            }
        )
        self.fusion = nn.Linear(hidden_size, hidden_size, bias=False)
        positions = sinusoid(MAX_POSITIONS, hidden_size) if ordered else None
        self.register_buffer("positions", positions, persistent=False)
        layer = TransformerLayer(hidden_size, num_head)
        # It copies the layer, so all layers have the same initial weights.
        self.transformer = nn.TransformerEncoder(layer, num_layer, enable_nested_tensor=False)

    def embed(self, view: dict[str, Tensor]) -> Tensor:
        """Embed the tokens of a view, and fuse the modalities if there are several.

        view: {modality: (B, L, token_size)}
        Returns (B, L, H).
        """
        embedded = [self.embeddings[modality](tokens) for modality, tokens in view.items()]
        if len(embedded) == 1:
            return embedded[0]
        # The fusion of the mean; scaling the weight saves a pass over all tokens.
        return F.linear(sum(embedded), self.fusion.weight / len(embedded))

    def forward(self, views: Sequence[dict[str, Tensor]]) -> Tensor:
        """Encode the tokens of several views.

        views: each {modality: (B, L, token_size)}; B may differ between views
        Returns (sum of all B, H), the views one after another.
        """
        x = torch.cat([self.embed(view) for view in views])  # (N, L, H)
        if self.positions is not None:
            x += self.positions[: x.shape[1]].to(x.dtype)
        # `max` sends its gradient to one token; `amax` would need several passes over all tokens.
        return self.transformer(x).max(1).values


class Encoder(nn.Module):
    """Features of clips from any set of modalities, with one set of weights (Sun et al. 2023).

    A clip has one temporal token for each frame (64) and one spatial token for each joint of each
    body (50 in NTU RGB+D). Temporal tokens get a position encoding, spatial tokens do not. Each
    kind of tokens goes through its own transformer; the maxima over the tokens are concatenated to
    the feature. Several modalities are fused before the transformers: the mean of their embeddings
    goes through a linear map. A single modality skips the fusion.
    """

    def __init__(
        self, hidden_size: int = 1024, num_head: int = 1, num_layer: int = 1, layout: Layout = NTU
    ):
        """Build both branches.

        hidden_size: width H of a token
        num_head: attention heads in a transformer layer
        num_layer: layers in each transformer
        layout: the bodies and the skeleton in a frame; the views must have the same
        """
        super().__init__()
        sizes = hidden_size, num_head, num_layer
        self.temporal = TokenBranch(layout.frame_size, *sizes, ordered=True)
        self.spatial = TokenBranch(SPATIAL_TOKEN, *sizes, ordered=False)
        self.feature_size = 2 * hidden_size
        self.layout = layout

    def forward(self, *views: dict[str, Tokens]) -> Tensor:
        """Encode several views in one pass.

        views: each {modality: tokens} of B clips, as `net.modalities.derive` returns them
        Returns (sum of all B, 2H), the views one after another; in a feature the temporal branch
        comes before the spatial one.
        """
        temporal = [{m: tokens.temporal for m, tokens in view.items()} for view in views]
        spatial = [{m: tokens.spatial for m, tokens in view.items()} for view in views]
        return torch.cat([self.temporal(temporal), self.spatial(spatial)], dim=-1)
