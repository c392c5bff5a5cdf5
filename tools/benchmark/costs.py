"""The cost of the network: parameters and operations are counted, the time is measured.

An operation is a multiplication or an addition in a matrix product, as torch counts them. The two
products inside attention (queries with keys, weights with values) are 1 % of all. They have a
column of their own, since some counters leave them out.
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

from feeder.skeletons import NTU
from net.encoder import Encoder
from net.losses import umurl_loss
from net.modalities import FRAMES, MODALITIES, derive
from net.umurl import UmURL

SETS = [names for size in (1, 2, 3) for names in combinations(MODALITIES, size)]
VIEWS = 4  # of a clip, in pre-training
ENOUGH = 4.0  # seconds after which a measurement stops, if it has two runs
FORWARD, STEP = "pre-training, forward", "pre-training, step"
_ATTENTION = {torch.ops.aten.bmm, torch.ops.aten.baddbmm}


class Cost(NamedTuple):
    """The cost of one clip.

    what: the modalities, or the part of pre-training.
    parameters: how many of the network's parameters take part.
    operations: additions and multiplications of all matrix products.
    attention: the part of `operations` inside attention.
    """

    what: str
    parameters: int
    operations: int
    attention: int


def of_network(hidden_size: int, num_head: int, num_layer: int, projector_width: int) -> list[Cost]:
    """Count the cost of inference and of pre-training.

    Returns one row for each set of modalities, one for the forward pass of pre-training, and one
    for its step: forward and backward pass of the network, without loss and optimizer. The count
    runs on torch's meta device, so nothing is computed and no GPU is needed. It counts the
    operations of the method as published; training does fewer (see
    TransformerLayer.attend_with_one_head).
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
    """Count the operations of one run on two clips, and the parameters that its outputs depend on.

    what: the name of the row.
    module: the network, whose gradients this function overwrites.
    run: calls the network and returns its outputs.
    backward: also count the operations of the backward pass.
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
    """Yield, for each row of `of_network`, its name and two times in seconds for one clip.

    The first time is that of a batch, divided by its number of clips. The second is that of a
    single clip, or None in pre-training. Both are medians.

    sizes: hidden size, attention heads, transformer layers.
    size: clips in a batch.
    repeats: how often each run is timed.
    """
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
    """Random clips (size, T, M, V, C), and random views of clips (VIEWS, size, T, M, V, C)."""
    views = torch.randn(VIEWS, size, FRAMES, *NTU.frame_shape, device=device)
    return views[0], views


def seconds(run: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Median time of a run in seconds, without its first two runs, which warm up.

    A slow run is repeated less often: at least once to warm up and once to be timed.
    """
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
