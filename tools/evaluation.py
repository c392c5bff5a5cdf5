"""What recognition and retrieval share: the encoder to judge, the data to judge it on, features."""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from data_gen.ntu import DATASETS, PROTOCOLS
from feeder.batches import load_clips
from feeder.store import Store, open_store
from net.encoder import Encoder
from net.modalities import derive
from tools import checkpoint, cli

ENCODING_BATCH = 256  # clips; a fixed size, so that features do not depend on other flags


class Subject(NamedTuple):
    """An encoder to judge and the data to judge it on.

    name: `pretrained` or `random`; folder: of its run, where results go; source: its checkpoint;
    train, test: rows of the store.
    """

    name: str
    folder: Path
    source: str
    encoder: Encoder
    store: Store
    protocol: str
    train: np.ndarray
    test: np.ndarray
    device: torch.device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that name the encoder and the data; a checkpoint knows most of them."""
    group = parser.add_argument_group("encoder and data")
    group.add_argument(
        "--checkpoint-path", type=Path, required=True, help="folder of the run; results go there"
    )
    group.add_argument(
        "--pretrained",
        default="final",
        help="final: the run's newest checkpoint; random: the same encoder without pre-training; "
        "or the path of a checkpoint",
    )
    group.add_argument("--data-root", help="folder that holds the stores (the checkpoint's)")
    group.add_argument("--finetune-dataset", choices=DATASETS, help="data set (the checkpoint's)")
    group.add_argument("--protocol", choices=PROTOCOLS, help="its split (the checkpoint's)")
    group.add_argument("--seed", type=cli.whole_number(0), default=0, help="of everything random")


def load_subject(args: argparse.Namespace) -> Subject:
    """Load the encoder that the flags name and open its data.

    Raises UserError or StoreError, one line each, where either is not there.
    """
    folder = args.checkpoint_path
    file = args.pretrained not in ("final", "random")
    path = Path(args.pretrained) if file else checkpoint.newest(folder)
    saved = checkpoint.load(path)
    settings = saved["settings"]
    torch.manual_seed(args.seed)
    encoder = Encoder(settings["hidden_size"], settings["num_head"], settings["num_layer"])
    if args.pretrained != "random":
        weights = saved["model"].items()
        encoder.load_state_dict(
            {k.removeprefix("encoder."): v for k, v in weights if k.startswith("encoder.")}
        )
    dataset = args.finetune_dataset or settings["pre_dataset"]
    protocol = args.protocol or settings["protocol"]
    store = open_store(args.data_root or settings["data_root"], dataset)
    train, test = store.split(protocol)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = "random" if args.pretrained == "random" else "pretrained"
    encoder = encoder.to(device).eval().requires_grad_(False)
    return Subject(name, folder, str(path), encoder, store, protocol, train, test, device)


@torch.inference_mode()
def extract_features(subject: Subject, rows: np.ndarray, what: str) -> Tensor:
    """Encode each of some clips once, whole and without augmentation: (n, 2H) float32."""
    parts = []
    with tqdm(total=len(rows), desc=what, unit="clip", disable=None) as bar:
        for batch in np.split(rows, range(ENCODING_BATCH, len(rows), ENCODING_BATCH)):
            clips = load_clips(subject.store, batch, subject.device)
            parts.append(subject.encoder(derive(clips.resized())))
            bar.update(len(batch))
    return torch.cat(parts)


def labels(subject: Subject, rows: np.ndarray) -> Tensor:
    """Classes, from 0, of some clips: (n,) int64 on the device."""
    return torch.from_numpy(subject.store.label[rows]).to(subject.device)


def write_results(subject: Subject, task: str, results: dict) -> Path:
    """Write results as JSON beside the checkpoint, whole or not at all; returns the path."""
    suffix = "" if subject.name == "pretrained" else f"_{subject.name}"
    path = subject.folder / f"{task}{suffix}.json"
    facts = {
        "task": task,
        "encoder": subject.name,
        "checkpoint": subject.source,
        "dataset": subject.store.dataset,
        "protocol": subject.protocol,
        "training_clips": len(subject.train),
        "test_clips": len(subject.test),
    }
    part = path.with_suffix(".part")
    part.write_text(json.dumps(facts | results, indent=2) + "\n")
    part.replace(path)
    return path
