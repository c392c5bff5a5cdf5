"""Pre-training by values: settings and data in, checkpoints and TensorBoard scalars out.

store = open_store("data", "ntu60")
pretrain(Settings(hidden_size=64, epochs=3, checkpoint_path=Path("checkpoints/tiny")), store)
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from data_gen.preparing import commands
from feeder.batches import TrainingBatches, resident_frames
from feeder.mixture import Mixture, by_data_set, clips_an_epoch
from feeder.store import Store
from net import methods
from net.methods import METHODS
from tools import cli
from tools.formats import checkpoint
from tools.training import distributed, resume
from tools.training.distributed import Process, StopSignal
from tools.training.logs import TrainingLog, describe
from tools.training.monitor import Monitor
from tools.training.settings import FREE, LOCAL, Settings, defaults
from tools.training.step import AMP, Training, learning_rate, memory, precision, training_step


@dataclass(frozen=True)
class Run:
    """What is trained, on what, by whom.

    rows: the training clips, rows of the store or of the mixture of stores; facts: what checkpoints
    tell of the run, its `settings` and its `data`.
    """

    settings: Settings
    store: Store | Mixture
    rows: np.ndarray
    facts: dict[str, dict]
    process: Process
    batches: TrainingBatches
    model: nn.Module
    training: Training

    @property
    def state(self) -> dict[str, Any]:
        """What a checkpoint saves and restores, by part."""
        training = self.training
        return {"model": self.model, "optimizer": training.optimizer, "scaler": training.scaler}

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return self.settings.epochs * len(self.batches)


def pretrain(
    settings: Settings,
    store: Store | Mixture,
    process: Process | None = None,
    stop: StopSignal | None = None,
) -> bool:
    """Train to the last epoch, or until `stop` is seen (then False is returned); both save.

    A run whose folder, `settings.checkpoint_path`, holds checkpoints goes on from the newest one.
    process: this one among those of the run, by default the one that torchrun's environment tells,
    or the only one. Raises UserError or StoreError, one line each, before anything is written,
    where the settings cannot work, or the folder or the checkpoint is of another run.
    """
    process = process or distributed.start()
    stop = stop or StopSignal(process)
    settings = replace(settings, amp=precision(settings.amp, process.device))
    rows, _ = store.split(settings.protocol)
    check(settings, store.sizes(rows), process)
    facts = about(settings, store, rows)
    alike = {k: v for k, v in facts["settings"].items() if k not in LOCAL} | facts["data"]
    distributed.require_alike(process, alike)
    find = partial(resume.to_resume, settings.resume, settings.checkpoint_path)
    if saved := distributed.from_main(process, find):
        saved["settings"] = defaults() | saved["settings"]  # of code that lacked some
        resume.refuse_other_run(saved, facts, free=FREE, anyway=settings.resume_anyway)
    with distributed.claim(settings.checkpoint_path, process):
        run = build(settings, store, rows, facts, process)
        return _train(run, _begin(run, saved), stop)


def build(
    settings: Settings,
    store: Store | Mixture,
    rows: np.ndarray,
    facts: dict[str, dict],
    process: Process,
) -> Run:
    """The batches, the model and what trains it, at the beginning."""
    device, method = process.device, METHODS[settings.method]
    frames = resident_frames(store, device) if is_resident(settings, store, device) else None
    batches = TrainingBatches(
        *(store, rows, settings.batch_size, settings.seed, device, frames, settings.workers),
        rank=process.rank,
        world_size=process.world_size,
        weights=settings.mix,
        strengths=settings.strengths,
    )
    torch.manual_seed(settings.seed)
    sizes = settings.hidden_size, settings.num_head, settings.num_layer, settings.projector_width
    encoder = methods.load_encoder_class(settings.encoder)
    model = method.load_model()(*sizes, store.layout, encoder).to(device)
    optimizer = torch.optim.Adam(
        model.parameters(), settings.lr, weight_decay=settings.wd, fused=True
    )
    amp = AMP[settings.amp]
    scaler = torch.amp.GradScaler(device.type, enabled=amp is torch.float16)
    network = distributed.parallel(model, process)
    network = torch.compile(network) if settings.compile else network
    loss = partial(method.load_loss(), settings=settings.of_loss)
    training = Training(network, loss, optimizer, scaler, amp, process)
    return Run(settings, store, rows, facts, process, batches, model, training)


def _begin(run: Run, saved: dict[str, Any] | None) -> int:
    """Take over a checkpoint, if there is one; returns how many steps are done.

    Raises CheckpointError where it is of another skeleton, even if the sizes are the same.
    """
    if not saved:
        return 0
    if (layout := checkpoint.layout_of(saved)) != run.store.layout:
        raise checkpoint.CheckpointError(
            f"the checkpoint was trained on clips of {layout}, the data holds {run.store.layout}; "
            "take another --checkpoint-path to start anew"
        )
    resume.restore(saved, **run.state)
    return saved["epoch"] * len(run.batches) + min(saved["step"], len(run.batches))


def _train(run: Run, done: int, stop: StopSignal) -> bool:
    """Train from where `done` steps are done; returns whether to the end."""
    settings, process, steps = run.settings, run.process, len(run.batches)
    folder = settings.checkpoint_path
    if done >= run.total:
        cli.say(f"{folder} is finished: {settings.epochs} epochs are done\n{what_next(folder)}")
        return True
    cli.say(
        f"{what_is_drawn(run)}, {steps} steps an epoch, {process.world_size} x "
        f"{process.device.type}, {run.training.amp or torch.float32}"
    )
    own = {"is_main": process.is_main, "amp": run.training.amp is not None}
    with TrainingLog(folder, run.total, done, **own) as log:
        looks = {"every": settings.monitor_every, "last": settings.epochs, "seed": settings.seed}
        looks["strengths"] = settings.strengths
        monitor = Monitor(log.writer, *first_data(run), **looks)
        monitor.settings(run.facts, done + 1)
        if done == 0:
            monitor.look(0, done, run.model.encoder)
        for epoch in range(done // steps, settings.epochs):
            rate = learning_rate(settings.lr, settings.schedule, epoch)
            for batch in run.batches.epoch(epoch, first_step=done % steps):
                run.store.require_whole()
                scalars = training_step(run.training, batch, rate)
                done += 1
                where = partial(describe, run.store, batch.rows, epoch, batch.step)
                log.add(scalars, sum(batch.shares), where)
                logging = done % settings.print_freq == 0 or done % steps == 0
                if logging:
                    log.write({"train/learning_rate": rate, **memory(process.device)})
                if stop.received(ask_ranks=logging):
                    break
            if done % steps == 0:  # before it is saved, lest a restart miss it
                log.epoch_done(epoch + 1, settings.epochs)
                monitor.look(epoch + 1, done, run.model.encoder)
            last = epoch + 1 == settings.epochs
            if stop.seen or last or (epoch + 1) % settings.save_every == 0:
                log.write({"train/learning_rate": rate})  # finds numbers that broke meanwhile
                path = _save(run, done, log)
            if stop.seen:
                told = f"stopped by {stop.name} at step {done}"
                cli.say(f"{told}; the same command goes on from {path}")
                return False
    cli.say(f"pre-training is done: {path}\n{what_next(folder)}")
    return True


def _save(run: Run, done: int, log: TrainingLog) -> Path:
    """Write a checkpoint, on the main process; returns where it lies."""
    folder, (epoch, step) = run.settings.checkpoint_path, divmod(done, len(run.batches))
    if run.process.is_main:
        log.flush()
        parts = {name: part.state_dict() for name, part in run.state.items()}
        parts["layout"] = run.store.layout.to_plain()
        parts |= {"epoch": epoch, "step": step, "metrics": log.latest} | run.facts
        checkpoint.save(folder, parts, run.settings.keep)
    return checkpoint.path_of(folder, epoch, step)


def what_is_drawn(run: Run) -> str:
    """The training clips of a run in words, and how many of each data set an epoch draws."""
    store, settings = run.store, run.settings
    if isinstance(store, Store):
        return f"{store.folder} {settings.protocol}: {len(run.rows)} training clips"
    sizes = store.sizes(run.rows)
    protocols = by_data_set(settings.pre_dataset, settings.protocol).values()
    parts = zip(store.stores, protocols, sizes, clips_an_epoch(sizes, settings.mix), strict=True)
    lines = [f"{s.folder} {p}: {size} training clips, {n} an epoch" for s, p, size, n in parts]
    return "\n".join([*lines, f"together {len(run.rows)} clips an epoch"])


def first_data(run: Run) -> tuple[Store, np.ndarray]:
    """The first store of a run and its training clips, of which the monitor shows some."""
    if isinstance(run.store, Store):
        return run.store, run.rows
    return run.store.stores[0], run.rows[: run.store.sizes(run.rows)[0]]


def check(settings: Settings, sizes: tuple[int, ...], process: Process) -> None:
    """Refuse settings that cannot work before anything is written.

    sizes: how many training clips each data set has.
    """
    if settings.batch_size % process.world_size:
        raise cli.UserError(
            f"--batch-size {settings.batch_size} cannot be divided by {process.world_size} ranks"
        )
    if settings.hidden_size % settings.num_head:
        raise cli.UserError(
            f"--hidden-size {settings.hidden_size} cannot be divided by "
            f"--num-head {settings.num_head}"
        )
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


def is_resident(settings: Settings, store: Store | Mixture, device: torch.device) -> bool:
    """Whether all frames stay on the device.

    On a CPU those of a single store do: mapped from disk, read as needed.
    """
    if device.type == "cpu":
        return isinstance(store, Store)
    if settings.resident != "auto":
        return settings.resident == "on"
    free, _ = torch.cuda.mem_get_info(device)
    return store.nbytes <= free // 2


def about(settings: Settings, store: Store | Mixture, rows: np.ndarray) -> dict[str, dict]:
    """Settings and a fingerprint of the data, for the checkpoints."""
    data = {
        "clips": len(store.names),
        "frames": int(store.frames.sum()),
        "protocol": settings.protocol,
        "training clips": len(rows),
        "samples.csv sha256": store.fingerprint,
    }
    return {"settings": settings.plain(), "data": data}


def what_next(folder: Path) -> str:
    """What a user does with a finished run."""
    tasks = [commands.evaluation(task, folder) for task in ("recognition", "retrieval")]
    curves = commands.command("tensorboard.main", "--logdir", folder.resolve())
    return f"next: {tasks[0]}\n  or: {tasks[1]}\ncurves: {curves}"
