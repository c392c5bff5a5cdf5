"""Encode the clips of a batch in parts, where memory is too small for all clips at once."""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from net.modalities import Tokens


def encode_in_parts(encoder: nn.Module, parts: int) -> None:
    """Change an encoder's `forward`: it encodes each view in parts, one part after another.

    encoder: an encoder as net/methods.py describes it; it is changed in place
    parts: how many parts; fewer if a view has fewer clips
    Raises ValueError if the encoder has batch norm, since then a clip depends on the others.

    Features and gradients stay the same. Memory holds only the input and the output of each part;
    the backward pass computes the rest again (Gao et al., Scaling Deep Contrastive Learning Batch
    Size under Memory Limited Setup, RepL4NLP 2021). The projectors and the loss still get the whole
    batch.
    """
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in encoder.modules()):
        raise ValueError("an encoder with batch norm needs all clips of a batch at once")
    whole = encoder.forward

    def forward(*views: dict[str, Tokens]) -> Tensor:
        """Encode several views: (sum of all B, F), the views one after another."""
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
    """Cut a view into parts; their sizes differ by one clip at most, and no part is empty."""
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
