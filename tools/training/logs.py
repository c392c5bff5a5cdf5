"""The log of a run: TensorBoard scalars, a progress bar, and a check that numbers are finite."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from feeder.mixture import Mixture
from feeder.store import Store
from tools.cli import UserError

NAMES_SHOWN = 3  # clips of a batch that an error names; a file in the run's folder names all
SKIPPED_IN_ROW = 32  # steps that fp16's scaler skips in a row before the run ends


class NonFinite(UserError):
    """A loss term or a gradient is not a finite number."""


class TrainingLog:
    """Collects the scalars of training steps on the device, and writes them from time to time.

    Reading a number from a GPU makes the program wait, so scalars stay on the GPU until `write`.
    All processes check the numbers; only the main process shows and writes them. Use it in a with
    statement; the end of the statement writes everything and removes the progress bar.

    step: steps of the whole run that are done.
    latest: the means that were written last, by name.
    writer: of the TensorBoard events; None on other processes than the main one.
    """

    def __init__(
        self,
        folder: Path,
        total_steps: int,
        first_step: int,
        *,
        is_main: bool,
        amp: bool = False,
    ):
        """Open the log.

        folder: the run's folder.
        total_steps: steps of the whole run.
        first_step: steps that are already done.
        is_main: whether this is the main process.
        amp: whether the network computes in half precision.
        """
        self.folder = folder
        self.step = first_step
        self.is_main = is_main
        self._amp = amp
        self.latest: dict[str, float] = {}
        self._pending: list[tuple[Callable[[], tuple[str, list[str]]], dict[str, Tensor]]] = []
        self._skipped = 0  # steps in a row that the scaler skipped
        self._clips, self._since = 0, time.perf_counter()
        self.writer = open_events(folder, first_step) if is_main else None
        # disable=None: without a terminal there is no bar, and `epoch_done` prints lines.
        self._bar = tqdm(
            total=total_steps,
            initial=first_step,
            unit="step",
            dynamic_ncols=True,
            disable=None if is_main else True,
        )

    def __enter__(self) -> "TrainingLog":
        return self

    def __exit__(self, kind, *_) -> None:
        self._bar.close()
        try:
            if self.writer:
                self.writer.close()
        except OSError:
            if kind is None:  # else the error that ended the with statement counts more
                raise

    def add(
        self, scalars: dict[str, Tensor], clips: int, where: Callable[[], tuple[str, list[str]]]
    ) -> None:
        """Note the scalars of a step that is done.

        scalars: {name: number on the device}.
        clips: number of clips of the step.
        where: gives what `describe` returns; it is called only if a number is not finite.
        """
        self._pending.append((where, scalars))
        self._clips += clips
        self.step += 1
        self._bar.update()

    def write(self, now: dict[str, float]) -> None:
        """Write the means of the collected scalars, the speed, and the values of `now`.

        now: {name: value}, values of this moment.
        Raises NonFinite, which names the first step with a number that is not finite.
        """
        if not self._pending:
            return
        names = list(self._pending[0][1])
        table = torch.stack([torch.stack(list(s.values())) for _, s in self._pending]).cpu()
        first = self.step - len(self._pending) + 1
        for step, ((where, _), row) in enumerate(
            zip(self._pending, table.tolist(), strict=True), start=first
        ):
            self._check(step, dict(zip(names, row, strict=True)), where)
        seconds = time.perf_counter() - self._since
        self.latest = dict(zip(names, table.mean(0).tolist(), strict=True)) | now
        self.latest["train/clips_per_second"] = self._clips / seconds
        self._pending.clear()
        self._clips, self._since = 0, time.perf_counter()
        if self.is_main:
            for name, value in self.latest.items():
                self.writer.add_scalar(name, value, self.step)
            self._bar.set_postfix_str(self._summary(), refresh=False)

    def _check(
        self, step: int, scalars: dict[str, float], where: Callable[[], tuple[str, list[str]]]
    ) -> None:
        broken = [f"{name} is {v}" for name, v in scalars.items() if not math.isfinite(v)]
        self._skipped = self._skipped + 1 if scalars.get("train/skipped") else 0
        if self._skipped == SKIPPED_IN_ROW:
            broken = [f"fp16 overflowed in {SKIPPED_IN_ROW} steps in a row"]
        if not broken:
            return
        place, clips = where()
        file = self.folder / "broken_numbers.txt"
        if self.is_main:
            file.write_text("\n".join([place, *broken, "", "clips of the batch:", *clips]) + "\n")
        marked = [clip for clip in clips if " " in clip]
        shown = ", ".join((marked or clips)[:NAMES_SHOWN])
        mend = "prepare the data again" if marked else self._mend(step)
        raise NonFinite(
            f"{broken[-1]} in {place}, clips {shown} (all {len(clips)} in {file}); "
            f"nothing was saved since; {mend}"
        )

    def _mend(self, step: int) -> str:
        # The learning rate has an effect only after the first step.
        ways = ["a smaller --lr"] if step > 1 else []
        ways += ["--amp off"] if self._amp else []
        return f"take {' or '.join(ways or ['smaller weights of the loss or augmentation'])}"

    def flush(self) -> None:
        """Write everything to the file."""
        if self.writer:
            self.writer.flush()

    def epoch_done(self, epoch: int, epochs: int) -> None:
        """Print a line for an epoch that is done, where there is no terminal to show a bar."""
        if self.is_main and self._bar.disable:
            print(f"epoch {epoch}/{epochs}  {self._summary()}", flush=True)

    def _summary(self) -> str:
        speed = self.latest["train/clips_per_second"]
        return f"loss {self.latest['loss/total']:.3f}  {speed:.0f} clips/s"


def open_events(folder: Path, first_step: int) -> SummaryWriter:
    """A TensorBoard writer for the steps after `first_step`.

    A run that was killed may have logged steps that are now done again; TensorBoard drops the old
    ones.
    """
    order_events(folder, int(time.time()))
    return SummaryWriter(folder, purge_step=first_step + 1 if first_step else 0)


def order_events(folder: Path, now: int) -> None:
    """Rename event files so that TensorBoard reads a file that is opened `now` last.

    folder: holds the event files.
    now: seconds since 1970.

    TensorBoard orders the files by the second in their names. An older file may have the same
    second, or a later one where the clock was set back. Such files get earlier seconds and keep
    their order, also at each moment during the renaming.
    """
    names = (path.name.split(".", 4) for path in sorted(folder.glob("events.out.tfevents.*.*")))
    names, latest = [parts for parts in names if parts[3].isdigit()], now
    new = []
    for parts in reversed(names):
        latest = min(int(parts[3]), latest - 1)
        new.append(f"{latest:010d}")
    for parts, second in zip(names, reversed(new), strict=True):
        if second != parts[3]:
            renamed = ".".join([*parts[:3], second, *parts[4:]])
            (folder / ".".join(parts)).rename(folder / renamed)


def describe(
    store: Store | Mixture, rows: np.ndarray, epoch: int, step: int
) -> tuple[str, list[str]]:
    """Describe a step for an error: its place in words, and the names of its clips.

    rows: the clips of the batch, rows of the store.
    epoch, step: from 0.

    The name of a clip with coordinates that are not finite has a note.
    """
    clips = []
    for row in rows:
        fault = "" if np.isfinite(store.clip(row)).all() else " (coordinates are not finite)"
        clips.append(store.names[row] + fault)
    return f"epoch {epoch + 1}, step {step + 1}", clips
