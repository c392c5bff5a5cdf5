"""One run of an ablation: pre-train, encode, measure, write the result."""

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_gen.preparing.files import remove, whole_file
from feeder.batches import batch_bounds
from feeder.store import open_store
from tools.ablation.measuring import figures, held_out_figures
from tools.ablation.plan import FEATURES, LOG, RESULT, Run
from tools.ablation.variants import VARIANTS, streams_of
from tools.evaluation import encoders
from tools.evaluation.features import Features, Halves, encode, open_halves
from tools.formats import checkpoint
from tools.training.distributed import Process, StopSignal
from tools.training.run import pretrain


def perform(run: Run, stop: StopSignal | None = None) -> bool:
    """Do a run, or the rest of it; returns False where `stop` was seen before its end.

    The folder of the run then holds its result and its features.
    Raises UserError or StoreError, in one line, where the run cannot be done.
    """
    start, settings, streams = time.perf_counter(), run.settings, VARIANTS[run.variant].streams
    store = open_store(settings.data_root, settings.pre_dataset)
    data, curve = open_halves(store, settings.protocol), []
    if not run.encoders:
        device = encoders.best_device()
        if not pretrain(settings, store, Process(0, 1, device), stop):
            return False
        curve = [_measured(path, run, data) for path in _on_the_way(run)]
        encoder, read = encoders.load(run.folder, device=device).encoder, streams_of(run.variant)
        write_features(run.folder / FEATURES, encode(encoder, data, read), read)
    sources = run.encoders or (run.folder,) * len(streams)
    features = read_features([path / FEATURES for path in sources], streams, data)
    result = {
        "variant": run.variant,
        "lr": run.lr,
        "seed": run.seed,
        "settings": settings.plain(),
        "encoders": [path.name for path in run.encoders],
        "title": store.title,
        "clips": [len(data.train), len(data.test)],
        "code": checkpoint.code_facts(),
        "test": figures(features, run.seed),
        "held_out": held_out_figures(features, run.seed),
        "curve": curve,
        "seconds": round(time.perf_counter() - start, 1),
    }
    with whole_file(run.result) as part:
        part.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n")
    for path in [] if run.keep else list(run.folder.iterdir()):
        if path.name not in (RESULT, FEATURES, LOG):
            remove(path)
    return True


def _on_the_way(run: Run) -> list[Path]:
    """The checkpoints after whole epochs, if the run is measured before its end, too."""
    there = checkpoint.in_folder(run.folder) if run.every else []
    positions = {path: checkpoint.position(path) for path in there}
    return [path for path, (epoch, step) in positions.items() if epoch and not step]


def _measured(path: Path, run: Run, data: Halves) -> dict[str, Any]:
    """The figures of a checkpoint, and the number of epochs and steps before it."""
    encoder = encoders.load(path, device=encoders.best_device()).encoder
    features = encode(encoder, data, VARIANTS[run.variant].streams)
    epoch, _ = checkpoint.position(path)
    steps = len(batch_bounds(len(data.train), run.settings.batch_size)) - 1
    return {
        "epoch": epoch,
        "step": epoch * steps,
        "test": figures(features, run.seed),
        "held_out": held_out_figures(features, run.seed),
    }


def write_features(path: Path, features: Features, streams: Iterable[tuple[str, ...]]) -> None:
    """Write features as arrays `train joint+bone`, `test joint+bone`, … (n, D) float32."""
    arrays = {
        f"{half} {'+'.join(names)}": part.cpu().numpy()
        for half, parts in (("train", features.train), ("test", features.test))
        for names, part in zip(streams, parts, strict=True)
    }
    with whole_file(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)


def read_features(
    paths: Iterable[Path], streams: Iterable[tuple[str, ...]], data: Halves
) -> Features:
    """The features of several streams, each from a file that `write_features` wrote."""
    halves = ([], [])
    for path, names in zip(paths, streams, strict=True):
        with np.load(path) as arrays:
            for half, parts in zip(("train", "test"), halves, strict=True):
                parts.append(torch.from_numpy(arrays[f"{half} {'+'.join(names)}"]))
    return Features(data, *(torch.stack(parts).to(encoders.best_device()) for parts in halves))
