"""The networks of the reference figures, with their initial weights and their views."""

import numpy as np
import torch

from net.umurl import UmURL
from tests.golden_files import MODEL_SIZES, load, ours
from tests.published import our_state


def golden_model(name: str) -> tuple[dict[str, np.ndarray], UmURL, torch.Tensor]:
    """The figures, the network, and the views of each step (steps, 4, B, T, M, V, C)."""
    golden = load(name)
    model = UmURL(**MODEL_SIZES[name])
    model.load_state_dict(our_state(golden))
    views = torch.stack([ours(golden[f"view{i}"]) for i in (1, 2, 3, 4)], dim=1)
    return golden, model, views
