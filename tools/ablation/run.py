"""A run of an ablation: pretrain.py, then figures on the frozen features, in one process.

A run is what its result.json begins with: {variant, lr, seed, folder, flags (of pretrain.py),
settings (which they make), encoders (folders of the runs whose encoders it takes, one a stream),
every (epochs between measurements; 0: at the end)}.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import common
import pretrain
from feeder.batches import batch_bounds
from feeder.store import open_store
from net import MODALITIES
from tools.ablation.variants import ALONE, DEFAULT, VARIANTS
from tools.evaluation import encoders
from tools.evaluation.features import Features, encode, open_split, standardized, within_training
from tools.evaluation.neighbors import joined, nearest, percent
from tools.evaluation.probe import LINEAR, linear_evaluation
from tools.training import checkpoint

FOLDS = 5  # groups of training subjects, each held out once
Run = dict[str, Any]


def perform(run: Run, keep: bool) -> None:
    """Do a run, or the rest of it, and write its result.json. keep: whether checkpoints stay"""
    began, folder = time.time(), Path(run["folder"])
    if not run["encoders"]:
        pretrain.main(run["flags"])
    result = run | measure(run) | {"seconds": round(time.time() - began, 1)}
    with common.atomic(folder / "result.json") as part:
        part.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n")
    for path in [] if keep else folder.iterdir():  # checkpoints, curves
        if path.name not in ("result.json", "features.pt", "log.txt"):
            path.unlink()


def measure(run: Run) -> dict[str, Any]:
    """Measure a run whose encoder is trained; its features go to features.pt, for other rows."""
    folder, settings, device = Path(run["folder"]), run["settings"], encoders.best_device()
    store = open_store(settings["data_root"], settings["pre_dataset"])
    data, streams = open_split(store, settings["protocol"]), VARIANTS[run["variant"]].streams
    steps = len(batch_bounds(len(data.train), settings["batch_size"])) - 1
    curve = []
    if not run["encoders"]:
        read = (MODALITIES, *ALONE) if run["variant"] == DEFAULT else streams
        for path in to_measure(folder, run["every"]):
            loaded = encoders.load(path, device=device)
            encoded = encode(loaded.encoder, data, read)
            own = Features(data, encoded.train[: len(streams)], encoded.test[: len(streams)])
            epoch, _ = checkpoint.position(path)
            measured = figures(own, run["seed"])
            curve.append({"epoch": epoch, "step": epoch * steps, **measured})
        with common.atomic(folder / "features.pt") as part:
            split = zip(encoded.train.cpu().unbind(), encoded.test.cpu().unbind(), strict=True)
            torch.save(dict(zip(read, split, strict=True)), part)
        settings = loaded.settings  # as pretrain.py has completed them
    else:
        taken = zip(run["encoders"], streams, strict=True)
        parts = [torch.load(Path(path) / "features.pt")[stream] for path, stream in taken]
        train, test = (torch.stack(part).to(device) for part in zip(*parts, strict=True))
        measured = figures(Features(data, train, test), run["seed"])
    return {
        "settings": settings,
        "title": store.title,
        "clips": [len(data.train), len(data.test)],
        "code": checkpoint.code_facts(),
        **measured,
        "curve": curve if run["every"] else [],
    }


def to_measure(folder: Path, every: int) -> list[Path]:
    """The last checkpoint and, with `every`, those before it after so many whole epochs."""
    *paths, last = checkpoint.in_folder(folder)
    whole = [path for path in paths if every and not checkpoint.position(path)[1]]
    return [*(path for path in whole if checkpoint.position(path)[0] % every == 0), last]


def figures(features: Features, seed: int) -> dict[str, dict[str, float]]:
    """{"test": {figure: percent}, "held_out": {figure: percent}} of linear evaluation and 1-NN.
    Held out: each group of training subjects is recognized by the clips of the others. Raises
    UserError if there is one subject.
    """
    subjects = features.data.store.subject[features.data.train]
    people = np.unique(subjects)
    if len(people) < 2:
        raise common.UserError("the training clips show one person; two are needed to hold one out")
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


if __name__ == "__main__":
    common.run(lambda: perform(json.loads(sys.argv[1]), keep="--keep" in sys.argv))
