"""Measure time and peak memory of calls that take turns, and print a table of the figures."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch

MIB = 2**20


class Timing(NamedTuple):
    """The time and memory of a call.

    seconds: median over the runs.
    peak: MiB that the first run held beyond what was held before; None where the system does not
        tell.
    """

    seconds: float
    peak: float | None = None


@dataclass
class Row:
    """One measured case: a row of the table.

    clips: how many clips one call handles.
    ours, literal: figures of this code, and of the literal version or of what else is compared.
    facts: further figures; each name ends with its unit.
    """

    stage: str
    case: str
    clips: int
    ours: Timing
    literal: Timing | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """How many times faster this code is than the literal version."""
        return self.literal.seconds / self.ours.seconds if self.literal else None

    def as_json(self) -> dict[str, Any]:
        """All figures by name; a figure that was not measured is None."""
        literal = self.literal or Timing(None, None)
        return {
            "stage": self.stage,
            "case": self.case,
            "clips": self.clips,
            "seconds": self.ours.seconds,
            "clips_per_second": self.clips / self.ours.seconds,
            "peak_mib": self.ours.peak,
            "literal_seconds": literal.seconds,
            "literal_clips_per_second": self.literal and self.clips / literal.seconds,
            "literal_peak_mib": literal.peak,
            "ratio": self.ratio,
            **self.facts,
        }


HEADER = ("stage", "case", "time", "literal", "ratio", "clips/s", "peak", "literal", "more")


def table(rows: list[Row]) -> str:
    """The rows as aligned text."""
    cells = [HEADER]
    for row in rows:
        literal = row.literal or Timing(None, None)
        facts = ", ".join(f"{k.replace('_', ' ')} {_figure(v)}" for k, v in row.facts.items())
        cells.append(
            (
                *(row.stage, row.case, _time(row.ours.seconds), _time(literal.seconds)),
                f"{row.ratio:.1f}x" if row.ratio else "-",
                _figure(row.clips / row.ours.seconds),
                *(_memory(row.ours.peak), _memory(literal.peak), facts),
            )
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        words = zip(row[:-1], widths[:-1], strict=True)
        padded = [w.ljust(n) if i < 2 else w.rjust(n) for i, (w, n) in enumerate(words)]
        lines.append("  ".join([*padded, row[-1]]).rstrip())
    return "\n".join(lines)


def _figure(value: Any) -> str:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def _memory(mib: float | None) -> str:
    return "-" if mib is None else f"{mib:,.0f} MiB"


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all work that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def take_turns(
    calls: dict[str, Callable[[], Any]], repeats: int, device: torch.device
) -> dict[str, Timing]:
    """Time several calls; each runs once to warm up, then `repeats` times in turn with the others.

    The calls take turns, so that other load on the machine falls on all of them. Every second turn
    goes backward, so that no call always runs after the same other call, whose data is in the
    caches.
    """
    peaks = {name: peak_memory(call, device) for name, call in calls.items()}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats):
        for name, call in list(calls.items())[:: -1 if turn % 2 else 1]:
            synchronize(device)
            begin = time.perf_counter()
            call()
            synchronize(device)
            seconds[name].append(time.perf_counter() - begin)
    return {name: Timing(statistics.median(seconds[name]), peaks[name]) for name in calls}


def peak_memory(call: Callable[[], Any], device: torch.device) -> float | None:
    """MiB that a call holds at most beyond what is held before: of the GPU, else of the process.

    None where the system does not tell it (Linux does).
    """
    if device.type == "cuda":
        synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        synchronize(device)
        return (torch.cuda.max_memory_allocated(device) - before) / MIB
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak, see proc(5)
    before = process_memory("VmRSS")
    call()
    return before and process_memory("VmHWM") - before


def process_memory(what: str, process: int | str = "self") -> float | None:
    """MiB that a process holds (VmRSS) or held at most (VmHWM); None where nothing tells it."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith(what + ":"):
                return int(line.split()[1]) / 1024
    return None


@contextlib.contextmanager
def threads(number: int) -> Iterator[None]:
    """Inside this context torch uses this many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
