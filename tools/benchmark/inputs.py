"""Inputs of the measurements: raw recordings, stores, and the literal version of the method."""

import contextlib
import importlib
import io
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
from torch import Tensor

from data_gen import synthetic
from data_gen.preparing.store import StoreWriter
from data_gen.readers import raw_folders
from data_gen.readers.skeleton_file import SampleName
from feeder.datasets.ntu import DATASETS
from feeder.skeletons import NTU
from feeder.store import Store, open_store
from tools.cli import UserError


def literal(name: str) -> ModuleType:
    """Import a module of the literal version. Raises UserError where tests/literal is missing."""
    try:
        return importlib.import_module(f"tests.literal.{name}")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("tests"):
            raise
        raise UserError(
            "tests/literal, which this code is measured beside, is not here; take the whole "
            "repository and run `python -m tools.benchmark` in its root"
        ) from None


def synthetic_recordings(folder: Path, people: int, kinds: int) -> list[Path]:
    """Write synthetic raw files to a new folder: three cameras see each action of each person.

    people, kinds: how many people, and how many kinds of actions.
    """
    size = ["--subjects", str(people), "--actions", str(kinds)]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        synthetic.main([*size, "--out_folder", str(folder)])
    return sorted(folder.glob("*.skeleton"))


def recordings(folder: Path, people: int, kinds: int, data_path: Path | None) -> list[Path]:
    """Make a new folder of raw files: synthetic ones, or links to as many of the user's.

    people, kinds: see `synthetic_recordings`.
    data_path: the user's folder of raw files, or None for synthetic files.
    Raises UserError where the user's folder holds too few files.
    """
    if data_path is None:
        return synthetic_recordings(folder, people, kinds)
    number = 3 * people * kinds
    found = raw_folders.find_files(raw_folders.skeleton_folders([data_path]))
    if len(found) < number:
        raise UserError(f"{data_path} holds {len(found)} raw files; {number} are needed")
    chosen = list(found.values())[:: len(found) // number][:number]
    folder.mkdir(parents=True)
    for file in chosen:
        os.symlink(file.resolve(), folder / file.name)
    return [folder / file.name for file in chosen]


def names() -> Iterator[SampleName]:
    """Names of clips of NTU-60. The first few already fall into both halves of each protocol."""
    sizes = (range(1, 18), (1, 2), range(1, 61), range(1, 41), (1, 2, 3))
    for setup, replication, action, subject, camera in itertools.product(*sizes):
        yield SampleName(setup, camera, subject, replication, action)


def clip_name(sample: SampleName) -> str:
    """The name of a clip as NTU RGB+D writes it: SsssCcccPpppRrrrAaaa."""
    return "S{:03d}C{:03d}P{:03d}R{:03d}A{:03d}".format(*sample)


def link_recordings(folder: Path, files: list[Path], number: int) -> None:
    """Fill a new folder with `number` links to a few raw files, each link with another name."""
    folder.mkdir(parents=True)
    # An empty list of missing samples, so that no name is left out as officially missing.
    (folder / raw_folders.MISSING_LIST).touch()
    for file, sample in zip(
        itertools.cycle(files), itertools.islice(names(), number), strict=False
    ):
        os.symlink(file.resolve(), folder / f"{clip_name(sample)}.skeleton")


def shortened(folder: Path, file: Path, frames: int) -> Path:
    """Write a copy of a raw file that has only its first frames to a new folder."""
    lines = file.read_text().splitlines()
    end = 1
    for _ in range(frames):
        end += 1 + int(lines[end]) * 27  # a body takes 27 lines
    folder.mkdir(parents=True)
    path = folder / file.name
    path.write_text("\n".join([str(frames), *lines[1:end]]) + "\n")
    return path


def random_store(root: Path, clips: int, mean_frames: int = 80, seed: int = 0) -> Store:
    """Write a store of random numbers that looks like NTU-60.

    Each clip has between half and one and a half times `mean_frames` frames.
    """
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((4 * mean_frames, *NTU.frame_shape), dtype=np.float32)
    chosen = sorted(itertools.islice(names(), clips), key=clip_name)
    with StoreWriter(root / "ntu60", DATASETS["ntu60"]) as writer:
        for sample in chosen:
            frames = rng.integers(mean_frames // 2, 3 * mean_frames // 2, endpoint=True)
            begin = rng.integers(len(noise) - frames)
            writer.add(clip_name(sample), sample, noise[begin : begin + frames])
        writer.commit()
    return open_store(root, "ntu60")


def padded(store: Store, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clips as the literal version takes them: (N, 3, 300, 25, 2) float32, and lengths (N,)."""
    arrays = np.zeros((len(rows), 3, 300, 25, 2), np.float32)
    for array, row in zip(arrays, rows, strict=True):
        array[:, : store.length[row]] = store.clip(row).transpose(3, 0, 2, 1)
    return arrays, store.length[rows]


def literal_view(view: Tensor) -> Tensor:
    """A view (B, T, M, V, C) as (B, C, T, V, M), contiguous as the literal input makes it."""
    return view.permute(0, 4, 1, 3, 2).contiguous()


LITERAL_KEYS = (
    (r"^encoder\.(t|s)\w+\.embeddings\.(j|b|m)\w+\.", r"backbone.\2_emb.\1_embedding."),
    (r"^encoder\.(t|s)\w+\.fusion\.", r"backbone.mm_fusion.\1_fusion.0."),
    (r"^encoder\.(t|s)\w+\.transformer\.", r"backbone.ma_encoder.\1_tr."),
    (r"^projectors\.(j|b|m)\w+\.", r"\1_projector."),
)


def literal_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of a state of net.umurl.UmURL as the literal version names them."""
    renamed = {}
    for key, tensor in weights.items():
        for ours, theirs in LITERAL_KEYS:
            key = re.sub(ours, theirs, key)
        renamed[key] = tensor
    return renamed
