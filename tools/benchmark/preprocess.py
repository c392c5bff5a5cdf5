"""Time of preprocessing: raw files to stores, beside the literal version's padded arrays."""

import contextlib
import io
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from data_gen import ntu_gendata
from data_gen.preparing.parallel import usable_cpus
from feeder.datasets.ntu import DATASETS
from tools.benchmark import inputs
from tools.benchmark.measure import Row, process_memory, take_turns
from tools.benchmark.sizes import Size
from tools.cli import UserError

CPU = torch.device("cpu")


def prepare(raw: Path, out: Path, workers: int) -> None:
    """Run the preparing command in this process, silently. Raises UserError where it fails."""
    arguments = f"--dataset ntu60 --workers {workers} --data_path".split()
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = ntu_gendata.main([*arguments, str(raw), "--out_folder", str(out)])
    if code:
        raise UserError(f"the preparing command failed: {said.getvalue().splitlines()[-1]}")


def prepare_apart(raw: Path, out: Path, workers: int) -> float | None:
    """Run the preparing command as a user does; returns the MiB that its process held at most.

    Returns None where the system does not tell. Raises UserError where the command fails.
    """
    command = [sys.executable, ntu_gendata.__file__, "--dataset", "ntu60"]
    command += ["--workers", str(workers), "--data_path", str(raw), "--out_folder", str(out)]
    peak = None
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            # The system keeps the peak, so only growth since the last look can be missed.
            peak = process_memory("VmHWM", process.pid) or peak
            time.sleep(0.02)
    if process.returncode:
        raise UserError(f"the preparing command ended with {process.returncode} on {raw}")
    return peak


def measure(size: Size, device: torch.device, scratch: Path, data_path: Path | None) -> list[Row]:
    """Measure both versions with one worker, then this code with one worker for each CPU."""
    theirs = inputs.literal("preprocess")
    files = inputs.recordings(scratch / "raw", *size.recordings, data_path)
    protocols = DATASETS["ntu60"].splits

    def literal():
        for protocol in protocols:
            theirs.write_protocol(scratch / "raw", protocol, scratch / "literal" / protocol)

    times = take_turns(
        {"ours": lambda: prepare(scratch / "raw", scratch, 1), "literal": literal},
        size.repeats,
        CPU,
    )
    store = inputs.open_store(scratch, "ntu60")
    frames = {"frames_a_clip": float(np.mean(store.length)), "protocols": len(protocols)}
    one = Row("preprocess", "1 worker", len(files), times["ours"], times["literal"], dict(frames))

    inputs.link_recordings(scratch / "linked", files, size.linked)
    cpus = usable_cpus()
    times = take_turns(
        {
            str(workers): partial(prepare_apart, scratch / "linked", scratch, workers)
            for workers in sorted({1, cpus})
        },
        min(size.repeats, 3),
        CPU,
    )
    apart = times[str(cpus)]._replace(peak=None)  # the command's memory is not this process's
    many = Row("preprocess", f"{cpus} workers", size.linked, apart)
    many.facts["times_1_worker"] = times["1"].seconds / many.ours.seconds
    literal_rate = one.clips / one.literal.seconds
    many.facts["times_literal"] = many.clips / many.ours.seconds / literal_rate
    return [one, many]
