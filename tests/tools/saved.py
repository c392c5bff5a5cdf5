"""Tiny checkpoints for tests, and files with other contents."""

from pathlib import Path

import torch
from torch import nn

from tools.training import checkpoint


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


def equal(a: object, b: object) -> bool:
    """Whether two nested dictionaries hold the same values; tensors must agree bit by bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    return type(a) is type(b) and a == b


def write(path: Path, content: object, **options) -> Path:
    torch.save(content, path, **options)
    return path


def as_saved(**changes: object) -> dict:
    """The content of a checkpoint file, with some parts changed."""
    code = dict(checkpoint.code_facts())
    return {"format": checkpoint.FORMAT, "code": code} | parts() | changes
