"""Encoding the clips of a batch in parts, where memory is too small for all of them at once."""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from net.modalities import Tokens


def encode_in_parts(encoder: nn.Module, parts: int) -> None:
    """Let an encoder take the clips of each view in some parts, one after another.

    Its outputs and gradients stay those of all clips at once. Of a part only what goes in and comes
    out is kept; the way back computes the rest again (Gao et al., Scaling Deep Contrastive Learning
    Batch Size under Memory Limited Setup, RepL4NLP 2021). So what comes after the encoder still
    sees the whole batch. Raises ValueError for an encoder in which clips meet.
    """
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in encoder.modules()):
        raise ValueError("an encoder with batch norm needs all clips of a batch at once")
    whole = encoder.forward

    def forward(*views: dict[str, Tokens]) -> Tensor:
        """The features of the views, one after another: (sum of the views' B, F)."""
        cut = zip(*(_cut(view, parts) for view in views), strict=True)
        features = [
            checkpoint(whole, *part, use_reentrant=False, preserve_rng_state=False).chunk(
                len(views)
            )
            for part in cut
        ]
        return torch.cat([torch.cat(pieces) for pieces in zip(*features, strict=True)])

    encoder.forward = forward


def _cut(view: dict[str, Tokens], parts: int) -> list[dict[str, Tokens]]:
    """A view in parts that differ by one clip at most, at least one and none of them empty."""
    clips = len(next(iter(view.values())).temporal)
    parts = min(parts, max(clips, 1))
    cut = {
        modality: [sequence.tensor_split(parts) for sequence in tokens]
        for modality, tokens in view.items()
    }
    return [
        {
            modality: Tokens(*(pieces[i] for pieces in sequences))
            for modality, sequences in cut.items()
        }
        for i in range(parts)
    ]
