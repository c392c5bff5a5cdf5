"""One step of pre-training, and what it needs to be told."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from net.precision import at_least_float32
from tools.training.distributed import Process, gather_clips

AMP = {"bf16": torch.bfloat16, "fp16": torch.float16, "off": None}  # the network's arithmetic


class Views(Protocol):
    """What a step takes of a batch: `feeder.batches.Batch` gives it."""

    shares: list[int]

    def views(self) -> Tensor:
        """(VIEWS, B, T, M, V, C), this rank's clips."""


@dataclass(frozen=True)
class Training:
    """A model in training.

    network: the model as it is run, over all ranks and compiled where that is asked for; loss: of
    its outputs (see net.methods), `total` and the terms; amp: the network's arithmetic, None for
    that of the weights.
    """

    network: nn.Module
    loss: Callable[..., dict[str, Tensor]]
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    amp: torch.dtype | None
    process: Process


def training_step(training: Training, batch: Views, rate: float) -> dict[str, Tensor]:
    """One step of the optimizer at a learning rate; returns its scalars, still on the device."""
    optimizer, scaler, amp = training.optimizer, training.scaler, training.amp
    for group in optimizer.param_groups:
        group["lr"] = rate
    views = batch.views()  # made in float32: coordinates are too fine for an autocast's precision
    with torch.autocast(training.process.device.type, amp, enabled=amp is not None):
        outputs = training.network(views)
    gather = partial(gather_clips, shares=batch.shares, rank=training.process.rank)
    outputs = [gather(output) for output in outputs]  # (..., n, D), the clips of all ranks
    terms = training.loss(*outputs)

    optimizer.zero_grad()
    scaler.scale(terms["total"]).backward()
    scaler.unscale_(optimizer)
    weights = training.network.parameters()
    norms = [torch.linalg.vector_norm(p.grad) for p in weights if p.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack(norms))
    scaler.step(optimizer)
    scaler.update()

    scalars = {f"loss/{name}": term.detach() for name, term in terms.items()}
    feature = at_least_float32(outputs[-1].detach())
    scalars["features/std"] = feature.std(0, correction=0).mean()
    scalars["train/gradient_norm"] = norm
    if scaler.is_enabled():
        # Under fp16 an overflow is no fault: the scaler skips the step and lowers its scale.
        scalars["train/gradient_norm"] = norm.nan_to_num(posinf=0.0)
        scalars["train/skipped"] = (~norm.isfinite()).float()
    return scalars


def precision(choice: str, device: torch.device) -> str:
    """What --amp means on a device: bf16, fp16 or off."""
    if choice != "auto":
        return choice
    if device.type == "cpu":
        return "off"
    return "bf16" if torch.cuda.is_bf16_supported() else "fp16"


def learning_rate(lr: float, schedule: tuple[int, ...], epoch: int) -> float:
    """The learning rate of an epoch, counted from 0: a tenth from each epoch of the schedule on."""
    return lr * 0.1 ** sum(epoch >= milestone for milestone in schedule)


def memory(device: torch.device) -> dict[str, float]:
    """Peak GPU memory in GiB, where there is a GPU."""
    if device.type == "cpu":
        return {}
    return {"train/gpu_memory_gib": torch.cuda.max_memory_allocated(device) / 2**30}
