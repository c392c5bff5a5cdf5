"""Runs of the preparing command: killed, stopped, out of disk, two at once; their memory."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.data_gen.raw_files import write_clips
from tests.data_gen.stores import COMMAND, OLD, linked_clips, read_store


def start(raw: Path, out: Path, workers: int = 1, **options) -> subprocess.Popen:
    """Start the command in its own process group."""
    flags = ["--data_path", raw, "--out_folder", out, "--workers", str(workers)]
    return subprocess.Popen(
        [sys.executable, COMMAND, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def wait_until_writing(out: Path, process: subprocess.Popen):
    new = out / ".ntu60.new" / "joints.npy"
    while not (new.exists() and new.stat().st_size > 100_000):
        assert process.poll() is None
        time.sleep(0.002)


def group_is_gone(group: int, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


MANY = 600


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return linked_clips(tmp_path_factory.mktemp("many") / "raw", MANY)


def test_a_run_killed_at_any_moment_leaves_a_whole_store(many, prepare, tmp_path):
    out = tmp_path / "out"
    few = write_clips(tmp_path / "few", OLD)
    assert prepare("--data_path", few)[0] == 0
    rng = random.Random(0)
    for workers in (1, 1, 1, 2, 2, 2):
        process = start(many, out, workers)
        wait_until_writing(out, process)
        time.sleep(rng.uniform(0, 0.8))
        process.kill()
        process.communicate()
        assert group_is_gone(process.pid)  # the workers too
        assert len(read_store(out / "ntu60")) in (len(OLD), MANY)
    assert prepare("--data_path", few)[0] == 0
    assert list(read_store(out / "ntu60")) == OLD
    assert os.listdir(out) == ["ntu60"]


@pytest.mark.parametrize(
    ("number", "code", "says"),
    [
        (signal.SIGINT, 130, "interrupted; no store was written\n"),
        (signal.SIGTERM, 1, "terminated; no store was written\n"),
    ],
)
def test_a_run_that_is_stopped_leaves_nothing(many, tmp_path, number, code, says):
    out = tmp_path / "out"
    process = start(many, out, workers=2)
    wait_until_writing(out, process)
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    printed, err = process.communicate(timeout=20)
    assert (process.returncode, printed) == (code, "")
    assert err.endswith(says)
    assert "Traceback" not in err
    assert os.listdir(out) == []
    assert group_is_gone(process.pid)


def test_a_full_disk(many, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    process = start(many, tmp_path / "out", preexec_fn=limit)
    printed, err = process.communicate(timeout=20)
    assert (process.returncode, printed) == (1, "")
    assert err.splitlines()[-1].startswith("error: [Errno 27] File too large")
    assert "Traceback" not in err
    assert os.listdir(tmp_path / "out") == []


def test_two_runs_at_once(many, prepare, tmp_path):
    out = tmp_path / "out"
    process = start(many, out)
    wait_until_writing(out, process)
    few = write_clips(tmp_path / "few", OLD)
    code, _, err = prepare("--data_path", few)
    assert code == 1
    assert f"error: another process is writing {out / 'ntu60'}; " in err
    assert process.communicate(timeout=60) and process.returncode == 0
    assert len(read_store(out / "ntu60")) == MANY


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's VmHWM")
def test_memory_does_not_grow_with_the_number_of_clips(many, tmp_path):
    program = (
        "import sys; from data_gen.ntu_gendata import main; main(sys.argv[1:]); "
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )  # the peak since the program began, unlike ru_maxrss
    peaks = []
    for raw in (linked_clips(tmp_path / "few", 60), many):
        flags = ["--data_path", raw, "--out_folder", tmp_path / raw.parent.name, "--workers", "1"]
        run = subprocess.run(
            [sys.executable, "-c", program, *flags],
            cwd=COMMAND.parents[1],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(run.stdout.split()[-2]) / 1024)  # MB
    store = (tmp_path / many.parent.name / "ntu60" / "joints.npy").stat().st_size / 2**20
    assert store > 25
    assert peaks[1] - peaks[0] < 10
