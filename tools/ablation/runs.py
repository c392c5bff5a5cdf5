"""A run of an ablation: pretrain.py, then figures on the frozen features, in one process.

A run is what its result.json begins with: {variant, lr, seed, flags, settings, encoders, every}.
`flags` are those of pretrain.py, `settings` what they mean; `encoders` are the folders of the runs
whose encoders it takes instead, one a stream; `every`: epochs between measurements, 0: at the end.
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common import UserError, atomic
from feeder.batches import batch_bounds
from feeder.store import open_store
from net import MODALITIES
from tools.ablation.variants import ALONE, DEFAULT, VARIANTS
from tools.evaluation import encoders
from tools.evaluation.features import Features, encode, open_split, standardized, within_training
from tools.evaluation.neighbors import joined, nearest, percent
from tools.evaluation.probe import LINEAR, linear_evaluation
from tools.training import checkpoint

PRETRAIN = Path(__file__).resolve().parents[2] / "pretrain.py"
FOLDS = 5  # groups of training subjects, each held out once
Run = dict[str, Any]


def start_worker(places: SimpleQueue) -> None:
    """Take a GPU, as CUDA_VISIBLE_DEVICES names it; with "" one thread of a CPU."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that pretrain.py ends, too
    os.environ["CUDA_VISIBLE_DEVICES"] = place = places.get()
    if not place:
        os.environ["OMP_NUM_THREADS"] = "1"
        torch.set_num_threads(1)


def perform(run: Run, keep: bool) -> tuple[Run, str]:
    """Do a run, or the rest of it; returns it, and why it failed, or "".

    keep: whether its checkpoints stay, too
    """
    began, folder = time.time(), Path(run["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    if not run["encoders"]:
        log = folder / "log.txt"
        with log.open("a") as file:
            command = [sys.executable, PRETRAIN, *run["flags"]]
            code = subprocess.run(command, stdout=file, stderr=file).returncode
        if code:
            return run, f"{log.read_text().splitlines()[-1]} (code {code}, {log})"
    try:
        result = run | measure(run)
    except (UserError, OSError) as error:
        return run, str(error)
    with atomic(folder / "result.json") as part:
        result["seconds"] = round(time.time() - began, 1)
        part.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n")
    for path in [] if keep else folder.iterdir():  # checkpoints, curves
        if path.name not in ("result.json", "features.pt", "log.txt"):
            path.unlink()
    return run, ""


def measure(run: Run) -> dict[str, Any]:
    """Measure a run whose encoder is trained; its features go to features.pt, for other rows."""
    folder, settings, device = Path(run["folder"]), run["settings"], encoders.best_device()
    store = open_store(settings["data_root"], settings["pre_dataset"])
    data, streams = open_split(store, settings["protocol"]), VARIANTS[run["variant"]].streams
    steps = len(batch_bounds(len(data.train), settings["batch_size"])) - 1
    curve = []
    if not run["encoders"]:
        read = (MODALITIES, *ALONE) if run["variant"] == DEFAULT else streams
        paths = checkpoint.in_folder(folder)
        for path in paths if run["every"] else paths[-1:]:
            loaded = encoders.load(path, device=device)
            encoded = encode(loaded.encoder, data, read)
            own = Features(data, encoded.train[: len(streams)], encoded.test[: len(streams)])
            epoch, _ = checkpoint.position(path)
            curve.append({"epoch": epoch, "step": epoch * steps, **figures(own, run["seed"])})
        with atomic(folder / "features.pt") as part:
            halves = zip(encoded.train.cpu().unbind(), encoded.test.cpu().unbind(), strict=True)
            torch.save(dict(zip(read, halves, strict=True)), part)
        measured = {part: curve[-1][part] for part in ("test", "held_out")}
        settings = loaded.settings  # as pretrain.py has completed them
    else:
        taken = zip(run["encoders"], streams, strict=True)
        halves = [torch.load(Path(path) / "features.pt")[stream] for path, stream in taken]
        train, test = (torch.stack(half).to(device) for half in zip(*halves, strict=True))
        measured = figures(Features(data, train, test), run["seed"])
    return {
        "settings": settings,
        "title": store.title,
        "clips": [len(data.train), len(data.test)],
        "code": checkpoint.code_facts(),
        **measured,
        "curve": curve if run["every"] else [],
    }


def figures(features: Features, seed: int) -> dict[str, dict[str, float]]:
    """{"test": {figure: percent}, "held_out": {figure: percent}} of linear evaluation and 1-NN.

    Linear evaluation after its last epoch; each with the features as published, and standardized.
    The scores of several streams are added, their cosines averaged. Held out: of the training
    clips, where each group of subjects is recognized by the clips of the other subjects, so that a
    choice by these figures sees no test clip. Raises UserError if they show one person.
    """
    subjects = features.data.store.subject[features.data.train]
    people = np.unique(subjects)
    if len(people) < 2:
        raise UserError("the training clips show one person; two are needed to hold one out")
    held = [np.isin(subjects, people[i::FOLDS]) for i in range(min(FOLDS, len(people)))]
    folds = [within_training(features, ~one, one) for one in held]
    last, measured = replace(LINEAR, test_every=LINEAR.epochs), {}
    for part, several in (("test", [features]), ("held_out", folds)):
        found = {"linear": [], "knn": [], "linear_standardized": [], "knn_standardized": []}
        for raw in several:
            for way, x in (("", raw), ("_standardized", standardized(raw)[0])):
                predicted = linear_evaluation(x, last, seed=seed).predicted
                _, near = nearest(joined(x.test), joined(x.train), 1)
                found[f"linear{way}"].append(predicted == x.test_classes)
                found[f"knn{way}"].append(x.train_classes[near[:, 0]] == x.test_classes)
        measured[part] = {name: percent(torch.cat(right)) for name, right in found.items()}
    return measured
