"""The log of a run: TensorBoard scalars, a progress bar, and stopping at a non-finite loss."""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from common import UserError
from feeder.mixture import Mixture
from feeder.store import Store
from tools.formats.tables import markdown

CLIPS_NAMED = 3  # in the error; broken_numbers.txt names all clips of the batch
SKIPPED_IN_A_ROW = 32  # steps that the scaler of fp16 may skip in a row


class TrainingLog:
    """Collects the scalars of steps on the device; `write` logs their means every few steps.

    Reading a scalar makes the host wait for the GPU, so `add` does not. All ranks hold the same
    scalars and check them; rank 0 writes. Use it in a with statement.

    latest: {tag: mean} of the last `write`
    writer: of TensorBoard; None on other ranks than 0
    """

    def __init__(
        self, folder: Path, store: Store | Mixture, *, total: int, done: int, is_main: bool
    ):
        """Open the log of a run of `total` steps, of which some are done."""
        self.folder, self.store, self.is_main = folder, store, is_main
        self.latest: dict[str, float] = {}
        self._steps: list[tuple[int, int, np.ndarray, dict[str, Tensor]]] = []
        self._done, self._skipped, self._since = done, 0, time.perf_counter()
        # TensorBoard drops what a killed run logged after its last checkpoint.
        self.writer = SummaryWriter(folder, purge_step=done + 1 if done else 0) if is_main else None
        # Without a terminal there is no bar, and `epoch_done` prints lines.
        self._bar = tqdm(total=total, initial=done, unit="step", disable=None if is_main else True)

    def __enter__(self) -> "TrainingLog":
        return self

    def __exit__(self, *_) -> None:
        self._bar.close()
        if self.writer:
            self.writer.close()

    def settings(self, **tables: dict[str, Any]) -> None:
        """Log tables {name: {setting: value}} as text."""
        for name, table in tables.items() if self.writer else ():
            lines = markdown(["setting", "value"], table.items())
            self.writer.add_text(name, "\n".join(lines), self._done)

    def add(self, epoch: int, step: int, rows: np.ndarray, scalars: dict[str, Tensor]) -> None:
        """Note the scalars of a step: epoch and step from 0, rows of the batch in the store."""
        self._steps.append((epoch, step, rows, scalars))
        self._done += 1
        self._bar.update()

    def write(self, **now: float) -> None:
        """Log the means since the last call, clips/s, and `now` as train/NAME.

        Raises UserError, which names the first step with a number that is not finite, its clips,
        and what to try.
        """
        if not self._steps:
            return
        names = list(self._steps[0][3])
        table = torch.stack([torch.stack(list(s.values())) for *_, s in self._steps]).cpu()
        for (epoch, step, rows, _), row in zip(self._steps, table.tolist(), strict=True):
            self._check(dict(zip(names, row, strict=True)), epoch, step, rows)
        self.latest = dict(zip(names, table.mean(0).tolist(), strict=True))
        self.latest |= {f"train/{name}": value for name, value in now.items()}
        clips = sum(len(rows) for _, _, rows, _ in self._steps)
        self.latest["train/clips_per_second"] = clips / (time.perf_counter() - self._since)
        self._steps.clear()
        self._since = time.perf_counter()
        if self.writer:
            for tag, value in self.latest.items():
                self.writer.add_scalar(tag, value, self._done)
            self._bar.set_postfix_str(self._summary(), refresh=False)

    def start_clock(self) -> None:
        """Count clips/s from now, so that saving and the monitor are not counted."""
        self._since = time.perf_counter()

    def epoch_done(self, epoch: int, epochs: int) -> None:
        """Print a line for an epoch, if there is no terminal for a bar."""
        if self.is_main and self._bar.disable:
            print(f"epoch {epoch}/{epochs}  {self._summary()}", flush=True)

    def _summary(self) -> str:
        speed = self.latest["train/clips_per_second"]
        return f"loss {self.latest['loss/total']:.3f}  {speed:.0f} clips/s"

    def _check(self, scalars: dict[str, float], epoch: int, step: int, rows: np.ndarray) -> None:
        broken = [f"{tag} is {value}" for tag, value in scalars.items() if not math.isfinite(value)]
        self._skipped = self._skipped + 1 if scalars.get("train/skipped") else 0
        if self._skipped == SKIPPED_IN_A_ROW:
            broken = [f"fp16 overflowed in {SKIPPED_IN_A_ROW} steps in a row"]
        if not broken:
            return
        bad = [row for row in rows if not np.isfinite(self.store.clip(row)).all()]
        file, place = self.folder / "broken_numbers.txt", f"epoch {epoch + 1}, step {step + 1}"
        if self.is_main:
            names = [self.store.names[r] + " (not finite)" * (r in bad) for r in rows]
            file.write_text("\n".join([place, *broken, "", "clips of the batch:", *names]) + "\n")
        shown = ", ".join(self.store.names[row] for row in (bad or rows)[:CLIPS_NAMED])
        hint = "prepare these clips again" if bad else "lower --lr, or try --amp off"
        clips = f"clips {shown} (all in {file})"
        raise UserError(f"{broken[-1]} in {place}, {clips}; nothing was saved since; {hint}")
