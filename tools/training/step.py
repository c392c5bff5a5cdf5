"""One step of pre-training: forward pass, loss, backward pass, optimizer."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor, nn

from net.moments import moments, pooled
from net.precision import at_least_float32
from net.ranks import Ranks, all_gather
from tools.training.distributed import Process
from tools.training.settings import Settings

AMP = {"bf16": torch.bfloat16, "fp16": torch.float16, "off": None}  # --amp -> network's arithmetic

NATIVE_BF16 = (8, 0)  # least compute capability of a GPU that multiplies bf16


class Views(Protocol):
    """What a step needs of a batch; `feeder.batches.Batch` has it.

    shares: number of clips of each rank.
    """

    shares: list[int]

    def views(self) -> Tensor:
        """The views (VIEWS, B, T, M, V, C) of this rank's clips."""


@dataclass(frozen=True)
class Training:
    """A model in training.

    network: the model as it is run, perhaps compiled, perhaps wrapped in DDP.
    loss: gets the network's outputs; returns the `total` and its terms by name, of all clips or
        this process's share of them (see net.methods).
    optimizer, scaler: of the weights, of the loss.
    amp: type of the network's arithmetic; None for the type of the weights.
    process: this process among those of the run.
    """

    network: nn.Module
    loss: Callable[..., dict[str, Tensor]]
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    amp: torch.dtype | None
    process: Process

    @cached_property
    def shares_loss(self) -> bool:
        """Whether the loss has a parameter `ranks`: it gets the clips of this rank alone."""
        return "ranks" in inspect.signature(self.loss).parameters


def training_step(training: Training, batch: Views, rate: float) -> dict[str, Tensor]:
    """Do one step of the optimizer; returns its scalars, by name, still on the device.

    rate: the learning rate of this step.
    """
    optimizer, scaler, amp = training.optimizer, training.scaler, training.amp
    for group in optimizer.param_groups:
        group["lr"] = rate
    views = batch.views()  # outside autocast: coordinates need float32
    with torch.autocast(training.process.device.type, amp, enabled=amp is not None):
        outputs = training.network(views)
    ranks, feature = Ranks(tuple(batch.shares), training.process.rank), outputs[-1].detach()
    if training.shares_loss:
        terms = training.loss(*outputs, ranks=ranks)
    else:
        terms = training.loss(*map(ranks.gather, outputs))  # (..., n, D), all ranks' clips
    answer = asked(terms, feature, ranks, whole=not training.shares_loss)

    optimizer.zero_grad()
    # DDP averages the gradients of the ranks; the gradient of the whole batch is their sum.
    scaler.scale(terms["total"] * ranks.number).backward()
    scaler.unscale_(optimizer)
    gradients = [p.grad for p in training.network.parameters() if p.grad is not None]
    # One call for all gradients, since a GPU would need a kernel launch for each.
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    scaler.step(optimizer)
    scaler.update()

    scalars = answer() | {"train/gradient_norm": norm}
    if scaler.is_enabled():
        # Under fp16 an overflow is no fault: the scaler skips the step and lowers its scale.
        scalars["train/gradient_norm"] = norm.nan_to_num(posinf=0.0)
        scalars["train/skipped"] = (~norm.isfinite()).float()
    return scalars


def asked(
    terms: dict[str, Tensor], feature: Tensor, ranks: Ranks, *, whole: bool
) -> Callable[[], dict[str, Tensor]]:
    """Begin to ask the other ranks for the scalars of a step; the returned call has the answer.

    terms: of the loss, whole or this rank's shares.
    feature: (own clips, F).
    """
    names = [f"loss/{name}" for name in terms]
    own = at_least_float32(feature)
    if ranks.number == 1:
        std = own.std(0, correction=0).mean()
        return lambda: (
            {n: term.detach() for n, term in zip(names, terms.values(), strict=True)}
            | {"features/std": std}
        )
    shares = torch.stack([term.detach() for term in terms.values()])
    parts = (shares / ranks.number if whole else shares, own.new_full((1,), len(own)))
    mine = torch.cat([*parts, *moments(own)])
    everyone = mine.new_empty(ranks.number * len(mine))
    # Nobody waits for this until the backward pass is done.
    asking = all_gather(everyone, mine, async_op=True)

    def answer() -> dict[str, Tensor]:
        asking.wait()
        sizes = [len(names), 1, own.shape[-1], own.shape[-1]]
        shares, rows, means, squares = everyone.view(ranks.number, -1).split(sizes, dim=1)
        _, variance, _ = pooled(means, squares, rows)
        scalars = dict(zip(names, shares.sum(0), strict=True))
        return scalars | {"features/std": variance.sqrt().mean()}

    return answer


def precision(choice: str, device: torch.device) -> str:
    """What --amp means on a device: bf16, fp16 or off."""
    if choice != "auto":
        return choice
    if device.type == "cpu":
        return "off"
    # Older GPUs compute bf16 by float32, which is slow; torch.cuda.is_bf16_supported counts them.
    return "bf16" if torch.cuda.get_device_capability(device) >= NATIVE_BF16 else "fp16"


def learning_rate(settings: Settings, done: int, steps: int) -> float:
    """The learning rate of a step.

    done: steps that are done before this step.
    steps: steps of an epoch.

    The rate is divided by ten at each epoch of the schedule. With `cosine` it instead follows half
    a cosine from the end of the warm-up to the end of the run (Loshchilov & Hutter, ICLR 2017,
    without restarts). In the warm-up it rises linearly.
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
    """Update the average of the encoder's weights, in place.

    decay: of the moving average.
    done: steps that are done before this step. In the first steps the average follows faster, so
        that it soon forgets the initial weights.
    """
    decay = min(decay, (1 + done) / (10 + done))
    for ours, theirs in zip(average.parameters(), encoder.parameters(), strict=True):
        ours.lerp_(theirs, 1 - decay)
    for ours, theirs in zip(average.buffers(), encoder.buffers(), strict=True):
        ours.copy_(theirs)


def memory(device: torch.device) -> dict[str, float]:
    """Peak GPU memory in GiB, by its name in the log; empty on a CPU."""
    if device.type == "cpu":
        return {}
    return {"train/gpu_memory_gib": torch.cuda.max_memory_allocated(device) / 2**30}
