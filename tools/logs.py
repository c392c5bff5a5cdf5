"""What a run says while it trains: TensorBoard scalars, a progress bar, and when numbers break."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from tools.cli import UserError


class NonFinite(UserError):
    """A loss term or gradient that is no longer a finite number."""


class TrainingLog:
    """Collects the scalars of training steps on the device and writes them out now and then.

    Reading a number from a GPU stalls it, so the terms of a step stay there until `write`. Only
    the main process shows and writes; all of them check the numbers.
    """

    def __init__(self, folder: Path, total_steps: int, first_step: int, *, is_main: bool):
        self.step = first_step  # steps done in the whole run
        self.is_main = is_main
        self._pending: list[tuple[Callable[[], str], dict[str, Tensor]]] = []
        self._clips, self._since = 0, time.perf_counter()
        self.latest: dict[str, float] = {}
        # A run that was killed may have logged steps that are now done again.
        self.writer = SummaryWriter(folder, purge_step=first_step) if is_main else None
        # disable=None: no bar where there is no terminal; `epoch_done` prints lines there.
        self._bar = tqdm(
            total=total_steps,
            initial=first_step,
            unit="step",
            dynamic_ncols=True,
            disable=None if is_main else True,
        )

    def add(self, scalars: dict[str, Tensor], clips: int, where: Callable[[], str]) -> None:
        """One step is done. where: names it and its clips, asked when its numbers are broken."""
        self._pending.append((where, scalars))
        self._clips += clips
        self.step += 1
        self._bar.update()

    def write(self, now: dict[str, float]) -> None:
        """Write the means of the collected scalars, the speed, and values of this moment.

        Raises NonFinite naming the first step and term that is not a finite number.
        """
        if not self._pending:
            return
        names = list(self._pending[0][1])
        table = torch.stack([torch.stack(list(s.values())) for _, s in self._pending]).cpu()
        for (where, _), row in zip(self._pending, table.tolist(), strict=True):
            for name, value in zip(names, row, strict=True):
                if not math.isfinite(value):
                    raise NonFinite(f"{name} is {value} in {where()}")
        seconds = time.perf_counter() - self._since
        self.latest = dict(zip(names, table.mean(0).tolist(), strict=True)) | now
        self.latest["train/clips_per_second"] = self._clips / seconds
        self._pending.clear()
        self._clips, self._since = 0, time.perf_counter()
        if self.is_main:
            for name, value in self.latest.items():
                self.writer.add_scalar(name, value, self.step)
            self._bar.set_postfix_str(self._summary(), refresh=False)

    def epoch_done(self, epoch: int, epochs: int) -> None:
        """Say so where there is no terminal to show a bar."""
        if self.is_main and self._bar.disable:
            print(f"epoch {epoch}/{epochs}  {self._summary()}", flush=True)

    def _summary(self) -> str:
        speed = self.latest["train/clips_per_second"]
        return f"loss {self.latest['loss/total']:.3f}  {speed:.0f} clips/s"

    def close(self) -> None:
        """Flush everything."""
        self._bar.close()
        if self.writer:
            self.writer.close()
