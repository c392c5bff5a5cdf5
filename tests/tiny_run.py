"""Write the folder of a pre-training run, for tests: a checkpoint with random weights."""

from pathlib import Path

import numpy as np
import torch

from feeder.store import Store
from net.modalities import MODALITIES
from net.umurl import UmURL
from tools.evaluation.encoders import load_encoder
from tools.evaluation.features import encode_clip
from tools.training import checkpoint

SIZES = {"hidden_size": 16, "num_head": 2, "num_layer": 1, "projector_width": 24}


def write_run(folder, data_root="data", *, seed=0, model=None, more=None, **sizes: int) -> Path:
    """Write a checkpoint as pretrain.py does after its last epoch; return the folder.

    more: further settings in the checkpoint
    sizes: sizes of the model, in place of SIZES
    """
    sizes = SIZES | sizes
    torch.manual_seed(seed)
    model = model or UmURL(*sizes.values())
    settings = {"data_root": str(data_root), "pre_dataset": "ntu60", "protocol": "cross_subject"}
    settings |= sizes | {"epochs": 3, "seed": seed} | (more or {})
    optimizer = torch.optim.Adam(model.parameters())
    parts = {"settings": settings, "data": {}, "metrics": {}, "epoch": 3, "step": 0, "scaler": {}}
    parts |= {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint.save(folder, parts)
    return folder


def features_of(folder: Path, store: Store, modalities=MODALITIES) -> torch.Tensor:
    """Features (clips, D) of all clips of a store, each encoded alone."""
    encoder = load_encoder(folder)
    clips = (np.array(store.clip(row)) for row in range(len(store.names)))
    return torch.stack([encode_clip(encoder, clip, modalities) for clip in clips])
