"""Predict time, memory and hours of pre-training on a kind of GPU. No GPU is needed.

    python -m tools.predict --gpu h100

The command does a step on an emulated GPU and counts what the step asks for. Times follow from the
rates of the GPU: its maker's, or rates that you measured. All figures are computed, not measured.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tools import cli
from tools.benchmark.gpus import GIB, GIGA, GPUS, TERA, Gpu
from tools.training import settings

RANKS = (1, 2, 4, 8)
CARDS = (24, 40, 80)  # GiB of GPU memory; the largest batch for each is printed
EPOCHS = 451


# fmt: off
def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    parser.add_argument("--gpu", choices=GPUS, default="h100", help="kind of GPU")
    parser.add_argument("--matrix-rate", type=cli.positive, metavar="TFLOP/S",
                        help="measured rate of bf16 products, instead of a share of the maker's")
    parser.add_argument("--bandwidth", type=cli.positive, metavar="GB/S",
                        help="measured rate of GPU memory, instead of a share of the maker's")
    parser.add_argument("--batch-size", type=cli.whole_number(8, 2**16),
                        help="clips on all GPUs (default: 512 for ntu60 cross_subject, else 1024)")
    parser.add_argument("--amp", choices=("bf16", "fp16", "off"), default="bf16",
                        help="mixed precision")
    settings.add_size_flags(parser)
    return settings.parse_with_sizes(parser, argv)
# fmt: on


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    # These import torch, which is slow; --help and wrong flags must answer at once.
    from tools.benchmark import prediction
    from tools.benchmark.prediction import Setting
    from tools.training.step import AMP

    gpu = chosen_gpu(args, prediction.MATRIX_SHARE, prediction.BANDWIDTH_SHARE)
    sizes = args.hidden_size, args.num_head, args.num_layer
    setting = Setting(sizes, args.projector_width, args.batch_size or 1024, 1, AMP[args.amp])
    try:
        for line in told(setting, gpu, args.batch_size):
            print(line, flush=True)
    except NotImplementedError as error:
        raise cli.UserError(str(error)) from None


def chosen_gpu(args: argparse.Namespace, matrix_share: float, bandwidth_share: float) -> Gpu:
    """The kind of GPU that the flags choose. A measured rate is used in full, not as a share."""
    gpu = GPUS[args.gpu]
    if args.matrix_rate:
        gpu = gpu._replace(half=args.matrix_rate * TERA / matrix_share)
    if args.bandwidth:
        gpu = gpu._replace(bandwidth=args.bandwidth * GIGA / bandwidth_share)
    return gpu


def told(setting, gpu: Gpu, batch: int | None) -> Iterator[str]:
    """The lines of the answer.

    setting: what is trained, a `prediction.Setting`.
    batch: clips on all GPUs for every protocol; None: the published batch of each protocol.
    """
    from tools.benchmark import prediction as p

    yield (
        f"Computed, not measured, for {gpu.name} ({gpu.source}): {p.MATRIX_SHARE:.0%} of "
        f"{gpu.half / TERA:.0f} TFLOP/s, {p.BANDWIDTH_SHARE:.0%} of {gpu.bandwidth / GIGA:,.0f} "
        f"GB/s, {p.LAUNCH * 1e6:.0f} µs of the host an operation; frames on the GPU or streamed."
    )
    one = p.counted_step(setting)
    yield from step_table(setting, gpu, one)
    yield from memory_table(setting, gpu)
    yield from protocol_table(setting, gpu, batch)


def step_table(setting, gpu: Gpu, step) -> Iterator[str]:
    """A table of what one GPU does in a step, one row for each kind of operation."""
    from tools.benchmark import prediction as p

    yield f"\nA step of {setting.batch} clips on one GPU, without torch.compile and with it:\n"
    yield "| kind | operations | TFLOP | GB | ms | compiled: operations | GB | ms |"
    yield "|---|---|---|---|---|---|---|---|"
    eager, compiled = (p.by_kind(x, gpu) for x in (step.operations, p.fused(step.operations)))
    kinds = sorted(eager | compiled, key=lambda kind: -eager.get(kind, compiled.get(kind))[1])
    for kind in kinds:
        (work, time), (less, shorter) = (x.get(kind, p.NOTHING) for x in (eager, compiled))
        yield (
            f"| {kind} | {work.launches} | {work.flops / TERA:.2f} | {work.moved / GIGA:.2f} | "
            f"{1e3 * time:.2f} | {less.launches} | {less.moved / GIGA:.2f} | {1e3 * shorter:.2f} |"
        )


def memory_table(setting, gpu: Gpu) -> Iterator[str]:
    """A table of GPU memories: does the batch fit, and what is the largest batch that fits?"""
    from tools.benchmark import prediction as p

    most = p.peak(setting)
    used, reserve = (f"{size / GIB:.1f} GiB" for size in (most, p.RESERVE))
    yield f"\nMemory of that step: {used}; driver and libraries take {reserve} more.\n"
    yield f"| card | {setting.batch} clips fit | largest batch |"
    yield "|---|---|---|"
    for size in sorted({*CARDS, round(gpu.memory / GIB)}):
        parts = p.parts_that_fit(setting, size * GIB)
        fits = {1: "yes", None: "no"}.get(parts, f"with --accumulate {parts}")
        yield f"| {size} GiB | {fits} | {p.largest_batch(setting, size * GIB):,} |"


def protocol_table(setting, gpu: Gpu, batch: int | None) -> Iterator[str]:
    """A table of times and hours of the published protocols on 1 to 8 GPUs of one machine."""
    from feeder.batches import batch_bounds
    from feeder.datasets.ntu import DATASETS
    from tools.benchmark import prediction as p
    from tools.benchmark.step import BATCH

    batches = {
        (name, protocol): batch or BATCH.get(f"{name} {protocol}", 1024)
        for name, dataset in DATASETS.items()
        for protocol in dataset.official
    }
    times = {}
    yield "\n| batch | GPUs | GiB a GPU | ms a step | compiled | of which waiting | efficiency |"
    yield "|---|---|---|---|---|---|---|"
    for size in sorted(set(batches.values())):
        for ranks in RANKS:
            step = p.counted_step(replace(setting, batch=size, ranks=ranks))
            plain, fast = (
                p.seconds(step, gpu, ranks, compiled=compiled) for compiled in (False, True)
            )
            times[size, ranks] = fast.step
            share = times[size, 1] / (ranks * fast.step)
            yield (
                f"| {size} | {ranks} | {step.peak / GIB:.1f} | {1e3 * plain.step:.1f} | "
                f"{1e3 * fast.step:.1f} | {1e3 * fast.waiting:.1f} | {share:.0%} |"
            )
    yield f"\nHours of {EPOCHS} epochs, compiled, without checkpoints and monitor:\n"
    yield "| protocol | batch | " + " | ".join(f"{n} GPU{'s' * (n > 1)}" for n in RANKS) + " |"
    yield "|---|---|" + "---|" * len(RANKS)
    for (name, protocol), size in batches.items():
        clips, _ = DATASETS[name].official[protocol]
        steps = EPOCHS * (len(batch_bounds(clips, size)) - 1)
        hours = " | ".join(f"{steps * times[size, ranks] / 3600:.2f}" for ranks in RANKS)
        yield f"| {name} {protocol} | {size} | {hours} |"


if __name__ == "__main__":
    cli.run(main)
