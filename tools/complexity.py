"""What the network costs: parameters, operations and time, for each set of modalities.

    python -m tools.complexity

Operations are those of matrix products, as torch counts them, two for a multiplication and
addition. The products of attention itself, queries with keys and weights with values, are 1 % of
them and stand apart, since not every counter sees them.
"""

import argparse
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
from data_gen.preparing.report import progress
from net.encoder import Encoder
from net.losses import umurl_loss
from net.modalities import FRAMES, MODALITIES, derive
from net.umurl import UmURL
from tools import cli

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


# fmt: off
def parse_args() -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    count = cli.whole_number(1)
    parser.add_argument("--hidden-size", type=count, default=1024, help="width of a token")
    parser.add_argument("--num-head", type=count, default=1, help="attention heads")
    parser.add_argument("--num-layer", type=count, default=1, help="transformer layers")
    parser.add_argument("--projector-width", type=count, default=4096, help="projectors' outputs")
    parser.add_argument("--batch-size", type=cli.whole_number(2), default=32,
                        help="clips a measurement")
    parser.add_argument("--repeats", type=count, default=10, help="measurements; the median counts")
    args = parser.parse_args()
    if args.hidden_size % args.num_head:
        parser.error(f"--hidden-size {args.hidden_size} is no multiple of {args.num_head} heads")
    return args
# fmt: on


def main() -> None:
    args = parse_args()
    sizes = args.hidden_size, args.num_head, args.num_layer
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    runs = measure(sizes, args.projector_width, args.batch_size, args.repeats, device)
    timings = dict(progress(runs, len(SETS) + 2, unit="measurement"))
    print(
        f"hidden size {sizes[0]}, {sizes[1]} heads, {sizes[2]} layers; a clip of {FRAMES} frames; "
        f"time on {device.type}, {torch.get_num_threads()} threads, float32, batches of "
        f"{args.batch_size} and of one\n"
    )
    print("| | parameters, M | GFLOP a clip | without attention's | ms a clip | ms, alone |")
    print("|---|---|---|---|---|---|")
    for cost in costs(*sizes, args.projector_width):
        times = " | ".join(f"{1000 * t:.2f}" if t else "–" for t in timings[cost.what])
        rest = cost.operations - cost.attention
        print(
            f"| {cost.what} | {cost.parameters / 1e6:.2f} | {cost.operations / 1e9:.2f} | "
            f"{rest / 1e9:.2f} | {times} |"
        )


def costs(hidden_size: int, num_head: int, num_layer: int, projector_width: int) -> list[Cost]:
    """The cost of inference from each set of modalities, of pre-training's forward, of its step.

    Of the step the network's share, forth and back, without loss and optimiser. Counted without
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
    """Of what `costs` counts, the median seconds a clip in batches of some size and of one."""
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


if __name__ == "__main__":
    cli.run(main)
