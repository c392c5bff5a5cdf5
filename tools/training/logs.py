"""What a run says while it trains: TensorBoard scalars, a progress bar, and when numbers break."""

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

NAMES_SHOWN = 3  # of a batch's clips; the file beside the checkpoints has them all
SKIPPED_IN_ROW = 32  # steps that fp16's scaler may skip: its scale is then 2⁻¹⁶ of what it was


class NonFinite(UserError):
    """A loss term or gradient that is no longer a finite number."""


class TrainingLog:
    """Collects the scalars of training steps on the device and writes them out now and then.

    Reading a number from a GPU stalls it, so the terms of a step stay there until `write`. Only
    the main process shows and writes; all of them check the numbers. Used in a with statement,
    whose end flushes everything and takes the bar away.
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
        self.folder = folder
        self.step = first_step  # steps done in the whole run
        self.is_main = is_main
        self._amp = amp  # whether the network computes in half precision
        self.latest: dict[str, float] = {}
        self._pending: list[tuple[Callable[[], tuple[str, list[str]]], dict[str, Tensor]]] = []
        self._skipped = 0  # steps in a row
        self._clips, self._since = 0, time.perf_counter()
        self.writer = open_events(folder, first_step) if is_main else None
        # disable=None: no bar where there is no terminal; `epoch_done` prints lines there.
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
            if kind is None:  # else the run ends with what went wrong first
                raise

    def add(
        self, scalars: dict[str, Tensor], clips: int, where: Callable[[], tuple[str, list[str]]]
    ) -> None:
        """One step is done. where: as `describe` gives it, asked when the numbers are broken."""
        self._pending.append((where, scalars))
        self._clips += clips
        self.step += 1
        self._bar.update()

    def write(self, now: dict[str, float]) -> None:
        """Write the means of the collected scalars, the speed, and values of this moment.

        Raises NonFinite naming the first step with a term that is not a finite number.
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
        mend = "prepare the data anew" if marked else self._mend(step)
        raise NonFinite(
            f"{broken[-1]} in {place}, clips {shown} (all {len(clips)} in {file}); "
            f"nothing was saved since, {mend}"
        )

    def _mend(self, step: int) -> str:
        # What can have broken the numbers of finite clips: before step 1 no rate was used yet.
        ways = ["a smaller --lr"] if step > 1 else []
        ways += ["--amp off"] if self._amp else []
        return f"take {' or '.join(ways or ['smaller weights of the loss or augmentation'])}"

    def flush(self) -> None:
        """Bring all that was written so far to the file."""
        if self.writer:
            self.writer.flush()

    def epoch_done(self, epoch: int, epochs: int) -> None:
        """Say so where there is no terminal to show a bar."""
        if self.is_main and self._bar.disable:
            print(f"epoch {epoch}/{epochs}  {self._summary()}", flush=True)

    def _summary(self) -> str:
        speed = self.latest["train/clips_per_second"]
        return f"loss {self.latest['loss/total']:.3f}  {speed:.0f} clips/s"


def open_events(folder: Path, first_step: int) -> SummaryWriter:
    """A TensorBoard writer for the steps after `first_step`.

    A run that was killed may have logged steps that are now done again: TensorBoard forgets those.
    """
    order_events(folder, int(time.time()))
    return SummaryWriter(folder, purge_step=first_step + 1 if first_step else 0)


def order_events(folder: Path, now: int) -> None:
    """Let a file of events that is opened `now`, in seconds, come after all those of a folder.

    TensorBoard reads them in the order of the second in their names. That of an earlier file may
    be now's or, where the clock was set back, a later one. Such files get names of earlier
    seconds, in the order that they have, which holds at each moment in between, too.
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
    """Where broken numbers came up: the place, and the clips of the batch.

    epoch, step: from 0. Clips whose coordinates in the store are not finite are marked.
    """
    clips = []
    for row in rows:
        fault = "" if np.isfinite(store.clip(row)).all() else " (coordinates are not finite)"
        clips.append(store.names[row] + fault)
    return f"epoch {epoch + 1}, step {step + 1}", clips
