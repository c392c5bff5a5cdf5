"""The network, the loss and one step of training, with the published state-dict keys."""

import math

import torch
from torch import nn
from torch.nn import functional as F

# 1-based (child, parent): bone = joint minus its neighbor towards the center.
BONES = (
    *((1, 2), (2, 21), (3, 21), (4, 3), (5, 21), (6, 5), (7, 6), (8, 7), (9, 21), (10, 9)),
    *((11, 10), (12, 11), (13, 1), (14, 13), (15, 14), (16, 15), (17, 1), (18, 17), (19, 18)),
    *((20, 19), (21, 21), (22, 23), (23, 8), (24, 25), (25, 12)),
)


# ---------------------------------------------------------------- modalities and tokens


def bone(joint):
    """Bone vectors of (B, C, T, V, M) coordinates, same shape."""
    out = torch.zeros_like(joint)
    for child, parent in BONES:
        out[:, :, :, child - 1] = joint[:, :, :, child - 1] - joint[:, :, :, parent - 1]
    return out


def motion(joint):
    """Next frame minus this frame of (B, C, T, V, M) coordinates, the last frame 0; same shape."""
    out = torch.zeros_like(joint)
    out[:, :, :-1] = joint[:, :, 1:] - joint[:, :, :-1]
    return out


def tokens(clip):
    """(B, C, T, V, M) -> temporal tokens (B, T, M·V·C) and spatial tokens (B, M·V, T·C)."""
    temporal = clip.permute(0, 2, 4, 3, 1).flatten(2)
    spatial = clip.permute(0, 4, 3, 2, 1).flatten(3).flatten(1, 2)
    return temporal, spatial


# ---------------------------------------------------------------- network


def embedding(size_in, hidden):
    """Tokens (B, N, size_in) -> (B, N, hidden)."""
    return nn.Sequential(
        nn.Linear(size_in, hidden), nn.LayerNorm(hidden), nn.ReLU(), nn.Linear(hidden, hidden)
    )


class Embedding(nn.Module):
    """The two embeddings of one modality."""

    def __init__(self, hidden):
        super().__init__()
        self.t_embedding = embedding(2 * 25 * 3, hidden)
        self.s_embedding = embedding(64 * 3, hidden)

    def forward(self, clip):
        temporal, spatial = tokens(clip)
        return self.t_embedding(temporal), self.s_embedding(spatial)  # (B, 64, H), (B, 50, H)


class Fusion(nn.Module):
    """Mean of the modalities' embeddings, then one linear map per kind of sequence."""

    def __init__(self, hidden):
        super().__init__()
        self.t_fusion = nn.Sequential(nn.Linear(hidden, hidden, bias=False))
        self.s_fusion = nn.Sequential(nn.Linear(hidden, hidden, bias=False))

    def forward(self, embeddings):
        temporal = sum(t for t, _ in embeddings) / len(embeddings)
        spatial = sum(s for _, s in embeddings) / len(embeddings)
        return self.t_fusion(temporal), self.s_fusion(spatial)


class PositionEncoding(nn.Module):
    """Adds sin(p·w) to the even channels and cos(p·w) to the odd ones, w = 10000^(-2i/H)."""

    def __init__(self, hidden, positions=200):
        super().__init__()
        position = torch.arange(float(positions))[:, None]
        frequency = torch.exp(torch.arange(0, hidden, 2).float() * (-math.log(10000.0) / hidden))
        pe = torch.zeros(1, positions, hidden)
        pe[0, :, 0::2] = torch.sin(position * frequency)
        pe[0, :, 1::2] = torch.cos(position * frequency[: hidden // 2])
        self.register_buffer("pe", pe)

    def forward(self, x):  # (B, T, H)
        return x + self.pe[:, : x.shape[1]]


def transformer(hidden, heads, layers):
    """Post-norm, ReLU, no dropout, no norm after the last layer; all layers start as copies."""
    layer = nn.TransformerEncoderLayer(hidden, heads, hidden, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


class TransformerPair(nn.Module):
    """Temporal and spatial transformer, maximum over the tokens of each, concatenated."""

    def __init__(self, hidden, heads, layers):
        super().__init__()
        self.pe = PositionEncoding(hidden)
        self.t_tr = transformer(hidden, heads, layers)
        self.s_tr = transformer(hidden, heads, layers)

    def forward(self, temporal, spatial):  # (B, 64, H), (B, 50, H) -> (B, 2H)
        temporal = self.t_tr(self.pe(temporal)).amax(dim=1)
        spatial = self.s_tr(spatial).amax(dim=1)
        return torch.cat([temporal, spatial], dim=1)


class Encoder(nn.Module):
    """Embeddings, fusion and the transformers that all modalities share.

    Each method takes the coordinates of a view, (B, C, 64, V, M), to its feature, (B, 2H).
    """

    def __init__(self, hidden=1024, heads=1, layers=1):
        super().__init__()
        self.j_emb, self.b_emb, self.m_emb = (Embedding(hidden) for _ in range(3))
        self.mm_fusion = Fusion(hidden)
        self.ma_encoder = TransformerPair(hidden, heads, layers)

    def joint(self, clip):
        """Joint modality alone."""
        return self.ma_encoder(*self.j_emb(clip))

    def bone(self, clip):
        """Bone modality alone."""
        return self.ma_encoder(*self.b_emb(bone(clip)))

    def motion(self, clip):
        """Motion modality alone."""
        return self.ma_encoder(*self.m_emb(motion(clip)))

    def fused(self, clip):
        """The three modalities fused."""
        embeddings = self.j_emb(clip), self.b_emb(bone(clip)), self.m_emb(motion(clip))
        return self.ma_encoder(*self.mm_fusion(embeddings))


def projector(size_in, size_out):
    """Features (B, size_in) -> (B, size_out)."""
    return nn.Sequential(
        *(nn.Linear(size_in, size_in), nn.BatchNorm1d(size_in), nn.ReLU()),
        *(nn.Linear(size_in, size_in), nn.BatchNorm1d(size_in), nn.ReLU()),
        nn.Linear(size_in, size_out),
    )


class UmURL(nn.Module):
    """Encoder and three projectors."""

    def __init__(self, hidden=1024, heads=1, layers=1, width=4096):
        super().__init__()
        self.backbone = Encoder(hidden, heads, layers)
        self.j_projector, self.b_projector, self.m_projector = (
            projector(2 * hidden, width) for _ in range(3)
        )

    def forward(self, v1, v2, v3, v4):
        """Four views (B, C, 64, V, M) -> z_j, z_b, z_m, z_uj, z_ub, z_um, each (B, width)."""
        y_j, y_b, y_m = self.backbone.joint(v1), self.backbone.bone(v2), self.backbone.motion(v3)
        y_u = self.backbone.fused(v4)
        # Fused first: the order of a projector's two calls shows in its running batch statistics.
        z_uj, z_ub, z_um = self.j_projector(y_u), self.b_projector(y_u), self.m_projector(y_u)
        z_j, z_b, z_m = self.j_projector(y_j), self.b_projector(y_b), self.m_projector(y_m)
        return z_j, z_b, z_m, z_uj, z_ub, z_um


# ---------------------------------------------------------------- loss


def regularizer(z):
    """5·mean(relu(1 − std)) + squared off-diagonal covariance / D of one output (B, D)."""
    n, width = z.shape
    std = torch.sqrt(z.var(dim=0) + 1e-4)
    centered = z - z.mean(dim=0)
    covariance = centered.T @ centered / (n - 1)  # (D, D)
    off_diagonal = covariance - torch.diag(covariance.diagonal())
    return 5 * F.relu(1 - std).mean() + off_diagonal.pow(2).sum() / width


def umurl_loss(z_j, z_b, z_m, z_uj, z_ub, z_um):
    """The terms intra (per modality), inter (between them), reg and their total, scalars."""
    intra = F.mse_loss(z_j, z_uj) + F.mse_loss(z_b, z_ub) + F.mse_loss(z_m, z_um)
    mean = (z_j + z_b + z_m) / 3
    inter = F.mse_loss(z_j, mean) + F.mse_loss(z_b, mean) + F.mse_loss(z_m, mean)
    reg = sum(regularizer(z) for z in (z_j, z_b, z_m, z_uj, z_ub, z_um))
    return intra, inter, reg, 5 * (intra + inter) + reg


# ---------------------------------------------------------------- training


def adam(model):
    """The published optimizer; its weight decay is an L2 term of the gradient."""
    return torch.optim.Adam(model.parameters(), lr=5e-4, betas=(0.9, 0.999), weight_decay=1e-5)


def train_step(model, optimizer, views):
    """One step on four views, each (B, C, 64, V, M); returns the four loss terms."""
    terms = umurl_loss(*model(*views))
    optimizer.zero_grad()
    terms[-1].backward()
    optimizer.step()
    return terms
