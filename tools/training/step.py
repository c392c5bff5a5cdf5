"""One step of pre-training, and what it needs to be told."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from net.precision import at_least_float32
from tools.training.distributed import Process, gather_clips
from tools.training.settings import Settings

AMP = {"bf16": torch.bfloat16, "fp16": torch.float16, "off": None}  # the network's arithmetic

NATIVE_BF16 = (8, 0)  # the least compute capability of GPUs that multiply bf16


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
    gradients = [p.grad for p in training.network.parameters() if p.grad is not None]
    # Of all in a few launches, where a GPU would take one each.
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
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
    # Older GPUs do bf16, too, but by way of float32: torch's own answer counts them.
    return "bf16" if torch.cuda.get_device_capability(device) >= NATIVE_BF16 else "fp16"


def learning_rate(settings: Settings, done: int, steps: int) -> float:
    """The learning rate of the step after `done` steps, of which an epoch has `steps`.

    A tenth from each epoch of the schedule on; or a cosine from the end of the warm-up to that of
    the run (Loshchilov & Hutter, ICLR 2017, without restarts).
    """
    warmup, rate = settings.warmup_epochs * steps, settings.lr
    if settings.cosine:
        part = max(done - warmup, 0) / max(settings.epochs * steps - warmup, 1)
        rate *= (1 + math.cos(math.pi * part)) / 2
    else:
        rate *= 0.1 ** sum(done // steps >= milestone for milestone in settings.schedule)
    return rate * (done + 1) / warmup if done < warmup else rate


@torch.no_grad()
def update_average(average: nn.Module, encoder: nn.Module, decay: float, done: int) -> None:
    """Let the average follow the encoder, after `done` steps.

    In the first steps it follows faster, so that it soon forgets the weights drawn at first.
    """
    decay = min(decay, (1 + done) / (10 + done))
    for ours, theirs in zip(average.parameters(), encoder.parameters(), strict=True):
        ours.lerp_(theirs, 1 - decay)
    for ours, theirs in zip(average.buffers(), encoder.buffers(), strict=True):
        ours.copy_(theirs)


def memory(device: torch.device) -> dict[str, float]:
    """Peak GPU memory in GiB, where there is a GPU."""
    if device.type == "cpu":
        return {}
    return {"train/gpu_memory_gib": torch.cuda.max_memory_allocated(device) / 2**30}
