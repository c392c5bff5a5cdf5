"""Measure this machine: clips a second and memory of each stage, parameters and operations.

    python -m tools.benchmark [STAGE ...] --compile --json step.json

The defaults are the published sizes on a GPU, and small ones on a CPU. Times are medians.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import FlopCounterMode

import common
from data_gen.gendata import usable_cpus
from feeder.augment import VIEW_FRAMES
from feeder.batches import TrainingBatches, resident_frames, smallest_batch
from feeder.skeletons import NTU
from feeder.store import Store, open_store
from net import MODALITIES
from net.encoder import Encoder
from net.methods import DEFAULT, METHODS
from net.modalities import derive
from tools.evaluation import encoders
from tools.evaluation.features import encode, open_split
from tools.evaluation.neighbors import nearest
from tools.evaluation.probe import LINEAR, linear_evaluation
from tools.formats.tables import markdown
from tools.training import checkpoint, distributed
from tools.training.distributed import AMP

DATA_GEN = Path(__file__).resolve().parents[1] / "data_gen"
STAGES = ("prepare", "views", "step", "evaluate", "cost")
Row = dict[str, Any]


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tools.benchmark", allow_abbrev=False)
    parser.description, parser.formatter_class = __doc__, argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("stages", nargs="*", metavar="STAGE", help=f"some of {', '.join(STAGES)} (all)")
    add("--method", choices=METHODS, default=DEFAULT, help="of the step (%(default)s)")
    add("--hidden-size", type=int, help="width of a token (GPU 1024, CPU 128)")
    add("--num-head", type=int, default=1, help="attention heads (%(default)s)")
    add("--num-layer", type=int, default=1, help="transformer layers (%(default)s)")
    add("--projector-width", type=int, default=4096, help="width of a feature (%(default)s)")
    add("--batch-size", type=int, help="clips of a step (GPU 1024, CPU 64)")
    add("--amp", choices=("auto", *AMP), default="auto", help="as pretrain.py takes it (auto)")
    add("--compile", action="store_true", help="also measure the compiled step")
    people = "people in the raw files, 3 to 40, of 48 clips each (12)"
    add("--subjects", type=int, choices=range(3, 41), metavar="N", help=people)
    add("--data-path", type=Path, metavar="DIR", help="raw files of NTU instead of synthetic ones")
    add("--bank", type=int, default=8192, help="clips that are searched, for an eighth as queries")
    add("--seconds", type=float, default=2.0, help="of each measurement, at least (2)")
    add("--json", type=Path, metavar="FILE", help="write the figures there, too")
    args = parser.parse_args(argv)
    if unknown := set(args.stages) - set(STAGES):
        parser.error(f"there is no stage {' '.join(unknown)}; take some of {', '.join(STAGES)}")
    args.stages = args.stages or list(STAGES)
    gpu = torch.cuda.is_available()
    args.hidden_size = args.hidden_size or (1024 if gpu else 128)
    args.batch_size = args.batch_size or (1024 if gpu else 64)
    if args.compile and "step" not in args.stages:
        parser.error("--compile is for the stage step")
    if args.data_path and args.subjects:
        parser.error("--subjects has no effect with --data-path")
    args.subjects = args.subjects or 12
    return args


def measured(what: str, run: Callable[[], Any], clips: int, args: argparse.Namespace) -> Row:
    """Time a call after a first one: median seconds, clips a second, peak memory on the GPU."""
    run()
    gpu = torch.cuda.is_available()
    if gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    timer = Timer("run()", globals={"run": run}, num_threads=torch.get_num_threads())
    seconds = timer.blocked_autorange(min_run_time=args.seconds).median  # it synchronizes
    memory = torch.cuda.max_memory_allocated() / 2**30 if gpu else None
    row = {"what": what, "clips": clips, "seconds": seconds, "clips a second": clips / seconds}
    return row | {"peak memory, GiB": memory}


def prepare(args: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """Make a store of raw files, with one process and with all CPUs; Python's start counts."""

    def call(program: str, *flags: Any) -> float:
        began, command = perf_counter(), [sys.executable, DATA_GEN / program, *map(str, flags)]
        subprocess.run(command, check=True, capture_output=True)
        return perf_counter() - began

    raw = args.data_path or folder / "raw"
    if not args.data_path:
        call("synthetic.py", "--out_folder", raw, "--subjects", args.subjects)
    for workers in sorted({1, usable_cpus()}):
        flags = "--data_path", raw, "--out_folder", folder, "--workers", workers
        seconds = call("ntu_gendata.py", "--dataset", "ntu60", *flags)
        clips = len(open_store(folder, "ntu60").names)
        what = f"raw files to a store, {workers} process{'es' * (workers > 1)}"
        yield {"what": what, "clips": clips, "seconds": seconds, "clips a second": clips / seconds}


def views(args: argparse.Namespace, store: Store, device: torch.device) -> Iterator[Row]:
    """Augment a batch whose frames are on the device, and read and augment it."""
    clips = np.resize(np.arange(len(store.names)), args.batch_size)
    count = METHODS[args.method].views
    for where, frames in (("on the device", resident_frames(store, device)), ("read", None)):
        batches = TrainingBatches(store, clips, len(clips), 0, device, frames=frames, views=count)
        (batch,) = batches.epoch(0)
        run = batch.views if frames is not None else lambda b=batches: next(b.epoch(0)).views()
        yield measured(f"{count} views of a batch, frames {where}", run, len(clips), args)


def step(args: argparse.Namespace, device: torch.device) -> Iterator[Row]:
    """Steps of pre-training on random views, eager and compiled; then the largest batch."""
    method, amp = METHODS[args.method], AMP[distributed.precision(args.amp, device)]
    sizes = args.hidden_size, args.num_head, args.num_layer, args.projector_width
    model = method.model(*sizes).to(device)
    optimizer = torch.optim.Adam(model.parameters(), 5e-4, weight_decay=1e-5, fused=True)

    def stepper(network: nn.Module, clips: int) -> Callable[[], None]:
        given = torch.randn(method.views, clips, VIEW_FRAMES, *NTU.frame_shape, device=device)

        def run() -> None:
            with torch.autocast(device.type, amp, enabled=amp is not None):
                *projected, _ = network(given)
            optimizer.zero_grad()
            method.loss(*projected)["total"].backward()
            nn.utils.clip_grad_norm_(model.parameters(), float("inf"))
            optimizer.step()

        return run

    name = f"step, {str(amp or torch.float32).removeprefix('torch.')}"
    with FlopCounterMode(display=False) as counter:
        stepper(model, args.batch_size)()
    networks = [(name, model), (f"{name}, compiled", torch.compile(model))]
    for what, network in networks if args.compile else networks[:1]:
        row = measured(what, stepper(network, args.batch_size), args.batch_size, args)
        yield row | {"TFLOP/s": counter.get_total_flops() / row["seconds"] / 1e12}
    largest = args.batch_size + smallest_batch(args.batch_size) - 1
    yield measured(f"{name}, an epoch's largest batch", stepper(model, largest), largest, args)


def evaluate(args: argparse.Namespace, store: Store, device: torch.device) -> Iterator[Row]:
    """Encode all clips, train the linear layer, search neighbors among random features."""
    encoder = Encoder(args.hidden_size, args.num_head, args.num_layer, store.layout)
    encoder, data = encoder.to(device).eval(), open_split(store, store.protocols[0])
    clips = len(data.train) + len(data.test)
    yield measured("encoding", lambda: encode(encoder, data), clips, args)
    features = encode(encoder, data)
    epochs = LINEAR.epochs
    run = measured("linear evaluation", lambda: linear_evaluation(features), clips * epochs, args)
    yield run | {"what": f"linear evaluation, {epochs} epochs of {len(data.train)} clips"}
    bank = torch.randn(args.bank, encoder.feature_size, device=device)
    queries = torch.randn(max(1, args.bank // 8), encoder.feature_size, device=device)
    what = f"nearest of {args.bank} clips"
    yield measured(what, lambda: nearest(queries, bank, 1), len(queries), args)


def costs(args: argparse.Namespace) -> Iterator[Row]:
    """What a forward pass of a batch costs: the encoder by modalities, and each method."""
    sizes = args.hidden_size, args.num_head, args.num_layer
    with torch.device("meta"):
        view = torch.zeros(args.batch_size, VIEW_FRAMES, *NTU.frame_shape)
        encoder = Encoder(*sizes, NTU)
        for names in [names for count in (1, 2, 3) for names in combinations(MODALITIES, count)]:
            tokens = derive(view, names, NTU.skeleton)
            yield cost(f"encoder, {'+'.join(names)}", encoder, tokens, args.batch_size)
        for name, method in METHODS.items():
            model = method.model(*sizes, args.projector_width)
            views = view.expand(method.views, *view.shape)
            yield cost(f"pre-training, {name}", model, views, args.batch_size)


def cost(what: str, module: nn.Module, inputs: Any, clips: int) -> Row:
    """The weights that are used, and the operations of a clip (2 for a product and its sum)."""
    module.zero_grad()
    with FlopCounterMode(display=False) as counter:
        outputs = module(inputs)
    sum(map(torch.sum, outputs if isinstance(outputs, tuple) else (outputs,))).backward()
    used = sum(weight.numel() for weight in module.parameters() if weight.grad is not None)
    flops = counter.get_total_flops() / clips
    return {"forward pass": what, "weights, M": used / 1e6, "GFLOP a clip": flops / 1e9}


def table(rows: list[Row]) -> str:
    def shown(value: Any) -> str:
        if isinstance(value, float):
            return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
        return "–" if value is None else f"{value:,}" if isinstance(value, int) else value

    names = dict.fromkeys(name for row in rows for name in row if row[name] is not None)
    return "\n".join(markdown([*names], [[shown(row.get(name)) for name in names] for row in rows]))


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    device = encoders.best_device()
    machine = checkpoint.code_facts() | {"cpus": usable_cpus(), "threads": torch.get_num_threads()}
    machine["load"] = round(os.getloadavg()[0], 2)
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    sizes = f"hidden {args.hidden_size}, projectors {args.projector_width}"
    print(f"{sizes}, batch {args.batch_size}", flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        if {"prepare", "views", "evaluate"} & {*args.stages}:
            rows += prepare(args, Path(folder))
            store = open_store(folder, "ntu60")
        rows += views(args, store, device) if "views" in args.stages else []
        rows += step(args, device) if "step" in args.stages else []
        rows += evaluate(args, store, device) if "evaluate" in args.stages else []
    network = [*costs(args)] if "cost" in args.stages else []
    print(*(f"\n{table(part)}" for part in (rows, network) if part), sep="\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts KiB
    print(f"\npeak memory of the process: {peak:.2f} GiB")
    if args.json:
        content = {"machine": machine, "settings": vars(args), "stages": rows, "network": network}
        with common.atomic(args.json) as part:
            part.write_text(json.dumps(content | {"peak GiB": peak}, indent=2, default=str) + "\n")
        print(f"written to {args.json}")


if __name__ == "__main__":
    common.run(main)
