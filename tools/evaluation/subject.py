"""What recognition and retrieval share: the encoder to judge, the data to judge it on, features."""

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from data_gen.datasets.ntu import ALL_DATASETS, PROTOCOLS
from data_gen.preparing.clip import prepare_clip
from data_gen.preparing.files import whole_file
from data_gen.readers.skeleton_file import SkeletonFileError, read_skeleton_file
from feeder.augment import resize
from feeder.batches import whole_clips
from feeder.store import Store, open_store
from net.encoder import Encoder
from net.modalities import MODALITIES, derive
from tools import cli
from tools.formats import checkpoint

ENCODING_BATCH = 256  # clips; a fixed size, so that features do not depend on other flags


class Subject(NamedTuple):
    """An encoder to judge and the data to judge it on.

    name: `pretrained` or `random`; folder: of its run, where results go; source: its checkpoint;
    settings: of its pre-training; modalities: what it sees of a clip; train, test: rows of the
    store.
    """

    name: str
    folder: Path
    source: str
    settings: dict[str, Any]
    encoder: Encoder
    modalities: tuple[str, ...]
    store: Store
    protocol: str
    train: np.ndarray
    test: np.ndarray
    device: torch.device


# ---- flags


def modalities(text: str) -> tuple[str, ...]:
    """An argparse type: names of modalities with commas between, each at most once."""
    names = text.split(",")
    if not set(names) <= set(MODALITIES) or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not some of {','.join(MODALITIES)}, each at most once"
        )
    return tuple(name for name in MODALITIES if name in names)


# fmt: off
def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that name the encoder and the data; a checkpoint knows most of them."""
    group = parser.add_argument_group("encoder and data")
    group.add_argument("--checkpoint-path", type=Path, required=True,
                       help="folder of the run, or a checkpoint in it; results go to the folder")
    group.add_argument("--pretrained", default="final",
                       help="final: the run's newest checkpoint; random: the same encoder without "
                       "pre-training; or the path of a checkpoint")
    group.add_argument("--modalities", type=modalities, default=",".join(MODALITIES),
                       help="what the encoder sees, e.g. joint or joint,bone; several are fused")
    group.add_argument("--data-root", help="folder that holds the stores (the checkpoint's)")
    group.add_argument("--finetune-dataset", choices=ALL_DATASETS,
                       help="data set to evaluate on (the checkpoint's)")
    group.add_argument("--protocol", choices=PROTOCOLS, help="its split (the checkpoint's)")
    group.add_argument("--seed", type=cli.whole_number(0), default=0, help="of everything random")
    group.add_argument("--save-features", type=Path, metavar="FILE.npz",
                       help="also write all clips' features, labels and names")
# fmt: on


# ---- encoders


def load_encoder(path: str | Path) -> Encoder:
    """The encoder of a checkpoint, or of the newest one in a run's folder; in eval mode, on CPU.

    Raises CheckpointError, one line, where there is none or it is not of this code.
    """
    return _build_encoder(*_read(Path(path)))


def _read(path: Path) -> tuple[Path, dict[str, Any]]:
    file = checkpoint.newest(path) if path.is_dir() else path
    return file, checkpoint.load(file)


def _build_encoder(path: Path, saved: dict[str, Any], *, trained: bool = True) -> Encoder:
    sizes = (saved["settings"][name] for name in ("hidden_size", "num_head", "num_layer"))
    encoder = Encoder(*sizes)
    if trained:
        weights = saved["model"].items()
        own = {k.removeprefix("encoder."): v for k, v in weights if k.startswith("encoder.")}
        checkpoint.check_fits(encoder, own, path)
        encoder.load_state_dict(own)
    return encoder.eval().requires_grad_(False)


def load_subject(args: argparse.Namespace) -> Subject:
    """Load the encoder that the flags name and open its data.

    Raises UserError or StoreError, one line each, where either is not there.
    """
    named = args.pretrained not in ("final", "random")
    path, saved = _read(Path(args.pretrained) if named else args.checkpoint_path)
    folder = args.checkpoint_path
    folder = folder.parent if folder.is_file() else folder
    settings = saved["settings"]
    torch.manual_seed(args.seed)
    encoder = _build_encoder(path, saved, trained=args.pretrained != "random")
    dataset = args.finetune_dataset or settings["pre_dataset"]
    protocol = args.protocol or settings["protocol"]
    store = open_store(args.data_root or settings["data_root"], dataset)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Subject(
        "random" if args.pretrained == "random" else "pretrained",
        folder,
        str(path),
        settings,
        encoder.to(device),
        args.modalities,
        store,
        protocol,
        *store.split(protocol),
        device,
    )


# ---- features


@torch.inference_mode()
def extract_features(
    subject: Subject, rows: np.ndarray, what: str, names: tuple[str, ...] | None = None
) -> Tensor:
    """Encode each of some clips once, whole and without augmentation: (n, 2H) float32.

    names: the modalities, by default the subject's; one alone skips the fusion.
    """
    parts = []
    with tqdm(total=len(rows), desc=what, unit="clip", disable=None) as bar:
        for batch in np.split(rows, range(ENCODING_BATCH, len(rows), ENCODING_BATCH)):
            clips = whole_clips(subject.store, batch, subject.device)
            parts.append(subject.encoder(derive(clips, names or subject.modalities)))
            bar.update(len(batch))
    return torch.cat(parts)


@torch.inference_mode()
def encode_clip(encoder: Encoder, clip: np.ndarray, names: tuple[str, ...] = MODALITIES) -> Tensor:
    """The feature (2H,) of one clip (T, M, V, C), float32, prepared as a store's are."""
    device = encoder.temporal.positions.device
    start, length = torch.tensor([[0], [len(clip)]], device=device)
    view = resize(torch.from_numpy(clip).to(device), start, length)  # (1, 64, M, V, C)
    return encoder(derive(view, names))[0]


def read_recording(path: str | Path) -> np.ndarray:
    """The clip (T, M, V, C), float32, of a raw `.skeleton` file, prepared as those of a store.

    Raises UserError, one line, where the file is malformed or shows nobody.
    """
    try:
        clip = prepare_clip(read_skeleton_file(path))
    except SkeletonFileError as error:
        raise cli.UserError(str(error)) from None
    if clip is None:
        raise cli.UserError(f"{path} shows nobody")
    return clip


def labels(subject: Subject, rows: np.ndarray) -> Tensor:
    """Classes, from 0, of some clips: (n,) int64 on the device."""
    return torch.from_numpy(subject.store.label[rows]).to(subject.device)


# ---- results


def save_features(path: Path, subject: Subject, train: Tensor, test: Tensor) -> None:
    """Write the features of training and test clips as arrays that need no pickle.

    train, test: (n, D). The file holds features (N, D) float32, labels (N,) from 0, names (N,) and
    training (N,), true for the training clips, which come first.
    """
    rows = np.concatenate([subject.train, subject.test])
    with whole_file(path) as part, part.open("wb") as file:
        np.savez(
            file,
            features=torch.cat([train, test]).cpu().numpy(),
            labels=subject.store.label[rows],
            names=np.array(subject.store.names)[rows],
            training=np.arange(len(rows)) < len(subject.train),
        )


def result_name(subject: Subject, task: str, *variant: str) -> str:
    """What results are called: the task, then whatever is not as it is by default."""
    parts = [task]
    if subject.modalities != MODALITIES:
        parts.append("-".join(subject.modalities))
    parts += variant
    own = subject.settings["pre_dataset"], subject.settings["protocol"]
    if (subject.store.dataset, subject.protocol) != own:
        parts += [subject.store.dataset, subject.protocol]
    if subject.name != "pretrained":
        parts.append(subject.name)
    return "_".join(parts)


def write_results(subject: Subject, task: str, name: str, results: dict) -> Path:
    """Write results as NAME.json beside the checkpoint, whole or not at all; returns the path."""
    path = subject.folder / f"{name}.json"
    told = (
        "method",
        "pre_dataset",
        "protocol",
        "hidden_size",
        "num_head",
        "num_layer",
        "epochs",
        "seed",
    )
    facts = {
        "task": task,
        "encoder": subject.name,
        "checkpoint": subject.source,
        "pretraining": {key: subject.settings.get(key) for key in told},
        "dataset": subject.store.dataset,
        "protocol": subject.protocol,
        "modalities": list(subject.modalities),
        "training_clips": len(subject.train),
        "test_clips": len(subject.test),
    }
    with whole_file(path) as part:
        part.write_text(json.dumps(facts | results, indent=2) + "\n")
    return path
