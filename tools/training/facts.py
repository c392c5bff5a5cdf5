"""Check a run before it begins, collect its facts for checkpoints, and tell the user about it."""

from pathlib import Path

import numpy as np

from data_gen.preparing import commands
from feeder.mixture import Mixture, by_data_set, clips_an_epoch
from feeder.store import Store
from tools import cli
from tools.training.distributed import Process
from tools.training.settings import Settings, heads_fault


def check(settings: Settings, sizes: tuple[int, ...], process: Process) -> None:
    """Refuse settings that cannot work, before anything is written.

    sizes: number of training clips of each data set.
    Raises UserError.
    """
    if settings.batch_size < process.world_size:
        raise cli.UserError(
            f"--batch-size {settings.batch_size} is less than a clip for each of "
            f"{process.world_size} ranks"
        )
    if fault := heads_fault(settings.hidden_size, settings.num_head):
        raise cli.UserError(fault)
    if settings.amp == "fp16" and process.device.type == "cpu":
        raise cli.UserError("--amp fp16 needs a GPU; take auto, bf16 or off")
    if sum(sizes) < 2:
        raise cli.UserError(f"{sum(sizes)} training clips are too few for batch statistics")
    if settings.mix and len(settings.mix) != len(sizes):
        raise cli.UserError(
            f"--mix: {len(settings.mix)} weights for {len(sizes)} data sets of --pre-dataset"
        )
    try:
        clips_an_epoch(sizes, settings.mix)
    except ValueError as error:
        raise cli.UserError(f"--mix: {error}; give it a greater weight") from None


def facts_of(settings: Settings, store: Store | Mixture, rows: np.ndarray) -> dict[str, dict]:
    """The facts of a run that its checkpoints hold: `settings`, and `data` with a fingerprint.

    rows: the training clips, rows of the store.
    """
    data = {
        "clips": len(store.names),
        "frames": int(store.length.sum()),
        "protocol": settings.protocol,
        "training clips": len(rows),
        "samples.csv sha256": store.fingerprint,
    }
    return {"settings": settings.plain(), "data": data}


def what_is_drawn(settings: Settings, store: Store | Mixture, rows: np.ndarray) -> str:
    """Say how many training clips each data set has, and how many of them an epoch takes."""
    if isinstance(store, Store):
        return f"{store.folder} {settings.protocol}: {len(rows)} training clips"
    sizes = store.sizes(rows)
    protocols = by_data_set(settings.pre_dataset, settings.protocol).values()
    parts = zip(store.stores, protocols, sizes, clips_an_epoch(sizes, settings.mix), strict=True)
    lines = [f"{s.folder} {p}: {size} training clips, {n} an epoch" for s, p, size, n in parts]
    return "\n".join([*lines, f"together {len(rows)} clips an epoch"])


def what_next(folder: Path) -> str:
    """The commands that a user needs after a finished run."""
    tasks = [commands.evaluation(task, folder) for task in ("recognition", "retrieval")]
    curves = commands.command("tensorboard.main", "--logdir", folder.resolve())
    return f"next: {tasks[0]}\n  or: {tasks[1]}\ncurves: {curves}"
