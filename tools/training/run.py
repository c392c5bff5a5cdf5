"""Pre-train in Python: settings and data in, checkpoints and TensorBoard scalars out.

store = open_store("data", "ntu60")
pretrain(Settings(hidden_size=64, epochs=3, checkpoint_path=Path("checkpoints/tiny")), store)
"""

import copy
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from feeder.batches import Batch, TrainingBatches, resident_frames
from feeder.mixture import Mixture
from feeder.store import Store
from net import MODALITIES, methods
from net.methods import METHODS
from net.parts import encode_in_parts
from tools import cli
from tools.formats import checkpoint
from tools.training import distributed, resume
from tools.training.compiling import as_asked, cache_folder, is_compiled
from tools.training.distributed import Process, StopSignal
from tools.training.facts import check, facts_of, what_is_drawn, what_next
from tools.training.logs import TrainingLog, describe
from tools.training.monitor import Monitor
from tools.training.saving import Saver
from tools.training.settings import FREE, LOCAL, Settings, defaults
from tools.training.step import (
    AMP,
    Training,
    learning_rate,
    memory,
    precision,
    training_step,
    update_average,
)


@dataclass(frozen=True)
class Run:
    """All parts of a pre-training run.

    rows: the training clips, rows of the store or of the mixture of stores.
    facts: the `settings` and `data` that checkpoints hold.
    batches: the training batches.
    average: a copy of the encoder with the average of its weights over the steps, or None.
    """

    settings: Settings
    store: Store | Mixture
    rows: np.ndarray
    facts: dict[str, dict]
    process: Process
    batches: TrainingBatches
    model: nn.Module
    training: Training
    average: nn.Module | None

    @property
    def state(self) -> dict[str, Any]:
        """The parts of the run with a state that a checkpoint saves and restores, by name."""
        training = self.training
        state = {"model": self.model, "optimizer": training.optimizer, "scaler": training.scaler}
        return state if self.average is None else state | {checkpoint.AVERAGE: self.average}

    @property
    def evaluated(self) -> nn.Module:
        """The encoder that the monitor evaluates: the average over the steps where there is one."""
        return self.model.encoder if self.average is None else self.average

    @property
    def total(self) -> int:
        """Number of steps of the whole run."""
        return self.settings.epochs * len(self.batches)


def pretrain(
    settings: Settings,
    store: Store | Mixture,
    process: Process | None = None,
    stop: StopSignal | None = None,
) -> bool:
    """Train to the last epoch, or until `stop` is seen; save a checkpoint in both cases.

    settings: all settings of the run. If the folder `checkpoint_path` holds checkpoints, the run
        continues from the newest one.
    store: the data.
    process: this process among those of the run; by default as torchrun's environment says.
    stop: notices signals; by default none.
    Returns whether the last epoch is done. Raises UserError or StoreError, before anything is
    written, where the settings cannot work, or where the folder or the checkpoint is of another
    run.
    """
    process = process or distributed.start()
    stop = stop or StopSignal(process)
    settings = replace(settings, amp=precision(settings.amp, process.device))
    rows, _ = store.split(settings.protocol)
    check(settings, store.sizes(rows), process)
    facts = facts_of(settings, store, rows)
    alike = {k: v for k, v in facts["settings"].items() if k not in LOCAL} | facts["data"]
    distributed.require_alike(process, alike)
    find = partial(resume.to_resume, settings.resume, settings.checkpoint_path)
    if saved := distributed.from_main(process, find):
        saved["settings"] = defaults() | saved["settings"]  # older code had fewer settings
        # The rate of a cosine depends on the number of epochs, so that may not change.
        free = FREE - {"epochs"} if settings.cosine else FREE
        resume.refuse_other_run(saved, facts, free=free, anyway=settings.resume_anyway)
    with distributed.lock_folder(settings.checkpoint_path, process):
        run = build(settings, store, rows, facts, process)
        return _train(run, _begin(run, saved), stop)


def build(
    settings: Settings,
    store: Store | Mixture,
    rows: np.ndarray,
    facts: dict[str, dict],
    process: Process,
) -> Run:
    """Make the batches, the model and the optimizer of a run, as they are at its beginning.

    rows: the training clips, rows of the store.
    facts: see `Run`.
    """
    device, method = process.device, METHODS[settings.method]
    frames = resident_frames(store, device) if is_resident(settings, store, device) else None
    batches = TrainingBatches(
        *(store, rows, settings.batch_size, settings.seed, device, frames, settings.workers),
        rank=process.rank,
        world_size=process.world_size,
        weights=settings.mix,
        strengths=settings.strengths,
        views=method.views,
    )
    torch.manual_seed(settings.seed)
    sizes = settings.hidden_size, settings.num_head, settings.num_layer, settings.projector_width
    encoder = methods.load_encoder_class(settings.encoder)
    model = method.load_model()(*sizes, store.layout, encoder).to(device)
    average = copy.deepcopy(model.encoder).requires_grad_(False) if settings.average else None
    if settings.accumulate > 1:
        try:
            encode_in_parts(model.encoder, settings.accumulate)
        except ValueError as error:
            raise cli.UserError(f"--accumulate: {error}") from None
    adam = torch.optim.AdamW if settings.decoupled_wd else torch.optim.Adam
    optimizer = adam(model.parameters(), settings.lr, weight_decay=settings.wd, fused=True)
    amp = AMP[settings.amp]
    scaler = torch.amp.GradScaler(device.type, enabled=amp is torch.float16)
    partly = method.modalities != MODALITIES  # the embeddings of the others then take no part
    network = distributed.parallel(as_asked(model, settings, process), process, partly=partly)
    loss = partial(method.load_loss(), settings=settings.of_loss)
    training = Training(network, loss, optimizer, scaler, amp, process)
    parts = {"batches": batches, "model": model, "training": training, "average": average}
    return Run(settings, store, rows, facts, process, **parts)


def _begin(run: Run, saved: dict[str, Any] | None) -> int:
    """Restore a checkpoint, if there is one; returns the number of steps that are done.

    Raises CheckpointError where the checkpoint is of another skeleton, even if the sizes are the
    same.
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
    """Train after `done` steps that are done; returns whether the last epoch is done."""
    settings, process, steps = run.settings, run.process, len(run.batches)
    folder = settings.checkpoint_path
    if done >= run.total:
        cli.say(f"{folder} is finished: {settings.epochs} epochs are done\n{what_next(folder)}")
        return True
    drawn = what_is_drawn(settings, run.store, run.rows)
    machine = f"{process.world_size} x {process.device.type}"
    cli.say(f"{drawn}, {steps} steps an epoch, {machine}, {run.training.amp or torch.float32}")
    begun, own = done, {"is_main": process.is_main, "amp": run.training.amp is not None}
    with (
        Saver(folder, settings.keep) as saver,
        TrainingLog(folder, run.total, done, **own) as log,
    ):
        looks = {"every": settings.monitor_every, "last": settings.epochs, "seed": settings.seed}
        looks["strengths"] = settings.strengths
        looks["modalities"] = METHODS[settings.method].modalities
        monitor = Monitor(log.writer, *first_data(run), **looks)
        monitor.settings(run.facts, done + 1)
        if done == 0:
            monitor.write(0, done, run.evaluated)
        for epoch in range(done // steps, settings.epochs):
            for batch in run.batches.epoch(epoch, first_step=done % steps):
                rate = learning_rate(settings, done, steps)
                scalars = _step(run, batch, rate, first=done == begun)
                if run.average is not None:
                    update_average(run.average, run.model.encoder, settings.average, done)
                done += 1
                where = partial(describe, run.store, batch.rows, epoch, batch.step)
                log.add(scalars, sum(batch.shares), where)
                logging = done % settings.print_freq == 0 or done % steps == 0
                if logging:
                    saver.check()
                    log.write({"train/learning_rate": rate, **memory(process.device)})
                if stop.received(ask_ranks=logging):
                    break
            if done % steps == 0:  # before the checkpoint, or a restart would skip the monitor
                log.epoch_done(epoch + 1, settings.epochs)
                monitor.write(epoch + 1, done, run.evaluated)
            last = epoch + 1 == settings.epochs
            if stop.seen or last or (epoch + 1) % settings.save_every == 0:
                log.write({"train/learning_rate": rate})  # also checks that all numbers are finite
                path = _save(run, done, log, saver)
            if stop.seen:
                saver.wait()
                told = f"stopped by {stop.name} at step {done}"
                cli.say(f"{told}; the same command goes on from {path}")
                return False
    cli.say(f"pre-training is done: {path}\n{what_next(folder)}")
    return True


def _step(run: Run, batch: Batch, rate: float, *, first: bool) -> dict[str, Tensor]:
    """Do a step; if the network is compiled in it, print how long that took."""
    run.store.require_whole()
    begin = time.perf_counter()
    scalars = training_step(run.training, batch, rate)
    if first and is_compiled(run.training.network):
        seconds = time.perf_counter() - begin
        cli.say(
            f"torch.compile took {seconds:.0f} s; the compiled code is kept in {cache_folder()}"
        )
    return scalars


def _save(run: Run, done: int, log: TrainingLog, saver: Saver) -> Path:
    """Begin to write a checkpoint, on the main process; returns the path that it will have."""
    folder, (epoch, step) = run.settings.checkpoint_path, divmod(done, len(run.batches))
    if run.process.is_main:
        log.flush()
        parts = {name: part.state_dict() for name, part in run.state.items()}
        parts["layout"] = run.store.layout.to_plain()
        parts |= {"epoch": epoch, "step": step, "metrics": log.latest} | run.facts
        saver.save(parts)
    return checkpoint.path_of(folder, epoch, step)


def first_data(run: Run) -> tuple[Store, np.ndarray]:
    """The first store of a run, and the rows of its training clips.

    The monitor shows some of them.
    """
    if isinstance(run.store, Store):
        return run.store, run.rows
    return run.store.stores[0], run.rows[: run.store.sizes(run.rows)[0]]


def is_resident(settings: Settings, store: Store | Mixture, device: torch.device) -> bool:
    """Whether all frames stay on the device.

    On a CPU this is so for a single store: its file is mapped and read as needed.
    """
    if device.type == "cpu":
        return isinstance(store, Store)
    if settings.resident != "auto":
        return settings.resident == "on"
    free, _ = torch.cuda.mem_get_info(device)
    return store.nbytes <= free // 2
