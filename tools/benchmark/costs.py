"""What the network costs, counted and measured: parameters, operations and time.

Operations are those of matrix products, as torch counts them, two for a multiplication and
addition. The products of attention itself, queries with keys and weights with values, are 1 % of
them and stand apart, since not every counter sees them.
"""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from data_gen.datasets.skeletons import NTU
from net.encoder import Encoder
from net.losses import umurl_loss
from net.modalities import FRAMES, MODALITIES, derive
from net.umurl import UmURL

SETS = [names for size in (1, 2, 3) for names in combinations(MODALITIES, size)]
VIEWS = 4  # of a clip, in pre-training
ENOUGH = 4.0  # seconds that a measurement takes; longer only if two runs do
FORWARD, STEP = "pre-training, forward", "pre-training, step"
_ATTENTION = {torch.ops.aten.bmm, torch.ops.aten.baddbmm}


class Cost(NamedTuple):
    """Of one clip. parameters: those that take part; attention: the operations of its products."""

    what: str
    parameters: int
    operations: int
    attention: int


def of_network(hidden_size: int, num_head: int, num_layer: int, projector_width: int) -> list[Cost]:
    """The cost of inference from each set of modalities, of pre-training's forward, of its step.

    Of the step the network's share, forth and back, without loss and optimizer. Counted without
    computing anything, so in no time and the same on all devices; as the method has it, of which
    training leaves some out (see TransformerLayer.attend_with_one_head).
    """
    with torch.device("meta"):
        encoder = Encoder(hidden_size, num_head, num_layer).eval()
        model = UmURL(hidden_size, num_head, num_layer, projector_width).eval()
        clips, views = batch(2, torch.device("meta"))  # two, since batch norm wants more than one
    table = [
        count(" + ".join(names), encoder, lambda names=names: (encoder(derive(clips, names)),))
        for names in SETS
    ]
    for what, backward in ((FORWARD, False), (STEP, True)):
        table.append(count(what, model, lambda: model(views), backward=backward))
    return table


def count(
    what: str, module: nn.Module, run: Callable[[], tuple[Tensor, ...]], *, backward: bool = False
) -> Cost:
    """Operations of a run on two clips, and the parameters that its outputs depend on.

    backward: count the way back, too.
    """
    with FlopCounterMode(display=False) as forth:
        outputs = run()
    with FlopCounterMode(display=False) as back:
        module.zero_grad()
        sum(tensor.sum() for tensor in outputs).backward()
    parameters = sum(p.numel() for p in module.parameters() if p.grad is not None)
    by_kind = Counter(forth.get_flop_counts()["Global"])
    by_kind.update(back.get_flop_counts()["Global"] if backward else {})
    attention = sum(number for kind, number in by_kind.items() if kind in _ATTENTION)
    return Cost(what, parameters, by_kind.total() // 2, attention // 2)


def measure(
    sizes: tuple[int, int, int], projector_width: int, size: int, repeats: int, device: torch.device
) -> Iterator[tuple[str, tuple[float, float | None]]]:
    """Of what `of_network` counts, the median seconds a clip in batches of some size and of one."""
    encoder = Encoder(*sizes).to(device).eval()
    model = UmURL(*sizes, projector_width).to(device)
    optimizer = torch.optim.Adam(model.parameters())
    clips, views = batch(size, device)

    def step() -> None:
        unimodal, fused, _ = model(views)
        optimizer.zero_grad()
        umurl_loss(unimodal, fused)["total"].backward()
        optimizer.step()

    @torch.inference_mode()
    def encode(clips: Tensor, names: tuple[str, ...]) -> None:
        encoder(derive(clips, names))

    @torch.no_grad()
    def forward() -> None:
        model(views)

    for names in SETS:
        many, one = (
            seconds(partial(encode, x, names), repeats, device) for x in (clips, clips[:1])
        )
        yield " + ".join(names), (many / size, one)
    for what, run in ((FORWARD, forward), (STEP, step)):
        yield what, (seconds(run, repeats, device) / size, None)


def batch(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Random clips (size, T, M, V, C) and views of them for pre-training (VIEWS, size, …)."""
    views = torch.randn(VIEWS, size, FRAMES, *NTU.frame_shape, device=device)
    return views[0], views


def seconds(run: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Median time of a run, after two to warm up; of slow ones fewer, down to one of each."""
    times = []
    for _ in range(2 + repeats):
        start = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
        if len(times) > 1 and sum(times) > ENOUGH:
            break
    return statistics.median(times[min(2, len(times) - 1) :])
