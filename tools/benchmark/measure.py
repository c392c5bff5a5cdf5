"""Times and peaks of memory of calls that take turns, and the table of what they gave."""

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
    """Median seconds of a call, and the MiB that its first run held beyond what was held before.

    peak: None where this system does not tell it.
    """

    seconds: float
    peak: float | None = None


@dataclass
class Row:
    """One measured case.

    clips: how many one call works through; facts: further figures, by names that say their unit.
    """

    stage: str
    case: str
    clips: int
    ours: Timing
    literal: Timing | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """How many times faster than the literal version."""
        return self.literal.seconds / self.ours.seconds if self.literal else None

    def as_json(self) -> dict[str, Any]:
        """All figures, None where there is none."""
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
    """Wait until the device has done what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def take_turns(
    calls: dict[str, Callable[[], Any]], repeats: int, device: torch.device
) -> dict[str, Timing]:
    """Run calls in turns, after one run of each to warm up; medians of `repeats` runs.

    Turns, so that whatever else the machine does falls on all of them; there and back, so that
    none always follows the same one and finds the memory and caches as that one left them.
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
    """MiB that a call holds at most, beyond what is held before: of the GPU, else of the process.

    None where the system cannot tell (Linux can).
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
    """MiB that a process holds (VmRSS) or held at most (VmHWM); None where that is not told."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith(what + ":"):
                return int(line.split()[1]) / 1024
    return None


@contextlib.contextmanager
def threads(number: int) -> Iterator[None]:
    """Let torch use this many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
