"""How the cost grows: with clips, hidden size, batch and ranks."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.multiprocessing as mp

from data_gen.preparing.parallel import usable_cpus
from feeder.batches import shares
from net.umurl import UmURL
from tools.benchmark import evaluation, inputs
from tools.benchmark.measure import Row, Timing, take_turns
from tools.benchmark.preprocess import prepare_apart
from tools.benchmark.sizes import Size
from tools.benchmark.step import Given, random_views, stepper
from tools.evaluation.neighbors import nearest
from tools.training import distributed
from tools.training.distributed import Process

SHORT = 4  # frames of the small clips


def measure(size: Size, device: torch.device, scratch: Path, data_path: Path | None) -> list[Row]:
    """Measure all cases; each row tells its time relative to the first row of its case."""
    return [
        *_preprocessing(size, scratch, data_path),
        *_steps(size, device),
        *_evaluation(size, device, scratch),
        *_ranks(size, device),
    ]


def _grown(case: str, timings: dict[int, Timing], clips: dict[int, int]) -> list[Row]:
    """The rows of one case.

    case: its name, with a place {} for the amount. timings, clips: {amount: value}.
    """
    first = next(iter(timings.values()))
    return [
        Row(
            *("scale", case.format(f"{amount:,}"), clips[amount], timing),
            facts={"times_the_first": timing.seconds / first.seconds},
        )
        for amount, timing in timings.items()
    ]


def _preprocessing(size: Size, scratch: Path, data_path: Path | None) -> list[Row]:
    files = inputs.recordings(scratch / "raw", *size.recordings, data_path)
    short = [inputs.shortened(scratch / "short", files[0], SHORT)]
    rows = []
    for kind, links, numbers in (
        ("preprocessing {} clips", files, (size.linked // 10, size.linked)),
        (f"preprocessing {{}} clips of {SHORT} frames", short, (size.many // 10, size.many)),
    ):
        timings = {}
        for number in numbers:
            folder = scratch / f"{links[0].parent.name}_{number}"
            inputs.link_recordings(folder, links, number)
            begin = time.perf_counter()
            peak = prepare_apart(folder, scratch, 1)
            timings[number] = Timing(time.perf_counter() - begin, peak)
        rows += _grown(kind, timings, {n: n for n in numbers})
    return rows


def _steps(size: Size, device: torch.device) -> list[Row]:
    hidden, batch = size.models[0]

    def step(hidden: int, batch: int) -> Callable[[], None]:
        model = UmURL(hidden, projector_width=size.width).to(device)
        call = stepper(model, Process(0, 1, device), None)
        given = Given(random_views(batch, device), [batch])
        return lambda: call(given)

    sizes = [n * hidden for n in (1, 2, 4)]
    by_size = {n: take_turns({"": step(n, batch)}, size.repeats, device)[""] for n in sizes}
    batches = [n * batch for n in (1, 2, 4)]
    by_batch = {n: take_turns({"": step(hidden, n)}, size.repeats, device)[""] for n in batches}
    return [
        *_grown(f"step of batch {batch}, hidden {{}}", by_size, dict.fromkeys(sizes, batch)),
        *_grown(f"step of hidden {hidden}, batch {{}}", by_batch, {n: n for n in batches}),
    ]


def _evaluation(size: Size, device: torch.device, scratch: Path) -> list[Row]:
    hidden, _ = size.models[0]
    clips, queries, database, dimensions = size.store // 10, *size.neighbors

    def recognition(clips: int) -> Callable[[], dict]:
        root = scratch / f"store_{clips}"
        inputs.random_store(root, clips)
        evaluation.write_checkpoint(root / "run", root, hidden)
        return lambda: evaluation.recognize(root / "run")

    def neighbors(database: int) -> Callable[[], tuple]:
        rows, others = (torch.randn(n, dimensions, device=device) for n in (queries, database))
        return lambda: nearest(rows, others, 1)

    def twice(call: Callable, first: int) -> dict[int, Timing]:
        numbers = first, 10 * first
        return {n: take_turns({"": call(n)}, min(size.repeats, 3), device)[""] for n in numbers}

    linear, knn = twice(recognition, clips), twice(neighbors, database)
    return [
        *_grown(f"linear evaluation, hidden {hidden}, {{}} clips", linear, {n: n for n in linear}),
        *_grown(f"neighbors of {queries:,} clips among {{}}", knn, dict.fromkeys(knn, queries)),
    ]


def _ranks(size: Size, device: torch.device) -> list[Row]:
    """Measure the same batch on one rank and on several ranks, which share the processors."""
    hidden, batch = size.models[0]
    most = torch.cuda.device_count() if device.type == "cuda" else min(usable_cpus(), 4)
    timings = {}
    for ranks in sorted({1, most}):
        seconds = mp.get_context("spawn").SimpleQueue()
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]  # a free port, most likely still free a moment later
        sizes = hidden, batch, size.width, size.repeats
        mp.spawn(_rank, (ranks, port, sizes, seconds), nprocs=ranks)
        timings[ranks] = Timing(seconds.get())
    case = f"step of hidden {hidden}, batch {batch}, ranks {{}}"
    return _grown(case, timings, dict.fromkeys(timings, batch))


def _rank(rank: int, ranks: int, port: int, sizes: tuple[int, ...], seconds: mp.SimpleQueue):
    """The process of one rank: it does its share of the steps; rank 0 reports the median time."""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "MASTER_PORT": port}
    os.environ.update(
        {key: str(value) for key, value in place.items()} | {"MASTER_ADDR": "127.0.0.1"}
    )
    hidden, batch, width, repeats = sizes
    process = distributed.start()
    if process.device.type == "cpu":
        torch.set_num_threads(max(1, usable_cpus() // ranks))
    parts = shares(batch, ranks)
    model = UmURL(hidden, projector_width=width).to(process.device)
    call = stepper(model, process, None, distributed.parallel(model, process))
    given = Given(random_views(parts[rank], process.device), parts)
    timing = take_turns({"": lambda: call(given)}, repeats, process.device)[""]
    if process.is_main:
        seconds.put(timing.seconds)
    distributed.stop()
