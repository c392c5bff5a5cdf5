"""Count the parameters and operations of the network, and measure its time, by modalities.

    python -m tools.complexity

The operations are explained in tools/benchmark/costs.py.
"""

import argparse
from collections.abc import Sequence

from data_gen.preparing.report import progress
from tools import cli
from tools.training import settings


# fmt: off
def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    settings.add_size_flags(parser)
    parser.add_argument("--batch-size", type=cli.whole_number(2), default=32,
                        help="clips of a measured batch")
    parser.add_argument("--repeats", type=cli.whole_number(1), default=10,
                        help="measurements; the table shows the median")
    return settings.parse_with_sizes(parser, argv)
# fmt: on


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    import torch  # after the flags are checked

    from net.modalities import FRAMES
    from tools.benchmark import costs
    from tools.evaluation.encoders import best_device

    sizes = args.hidden_size, args.num_head, args.num_layer
    device = best_device()
    runs = costs.measure(sizes, args.projector_width, args.batch_size, args.repeats, device)
    timings = dict(progress(runs, len(costs.SETS) + 2, unit="measurement"))
    print(
        f"hidden size {sizes[0]}, {sizes[1]} heads, {sizes[2]} layers; a clip of {FRAMES} frames; "
        f"time on {device.type}, {torch.get_num_threads()} threads, float32, batches of "
        f"{args.batch_size} and of one\n"
    )
    print("| | parameters, M | GFLOP a clip | without attention's | ms a clip | ms, alone |")
    print("|---|---|---|---|---|---|")
    for cost in costs.of_network(*sizes, args.projector_width):
        times = " | ".join(f"{1000 * t:.2f}" if t else "–" for t in timings[cost.what])
        rest = cost.operations - cost.attention
        print(
            f"| {cost.what} | {cost.parameters / 1e6:.2f} | {cost.operations / 1e9:.2f} | "
            f"{rest / 1e9:.2f} | {times} |"
        )


if __name__ == "__main__":
    cli.run(main)
