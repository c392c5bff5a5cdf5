"""The parts of a tiny checkpoint, for tests."""

import torch
from torch import nn


def parts(epoch: int = 3, step: int = 0) -> dict:
    """The parts of a tiny checkpoint, whose model is one layer."""
    torch.manual_seed(0)
    layer = nn.Linear(8, 16)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(2, 8)).sum().backward()
    optimizer.step()
    return {
        "epoch": epoch,
        "step": step,
        "data": {"clips": 24, "frames": 1332, "protocol": "cross_subject", "sha256": "ab12"},
        "metrics": {"loss/total": 12.5},
        "settings": {
            **{"hidden_size": 8, "num_head": 1, "num_layer": 1, "projector_width": 16},
            **{"data_root": "data", "pre_dataset": "ntu60", "protocol": "cross_subject"},
            **{"lr": 5e-4, "schedule": [3, 5], "compile": False},
        },
        "model": {f"encoder.{name}": weight for name, weight in layer.state_dict().items()},
        "optimizer": optimizer.state_dict(),
        "scaler": {},
    }
