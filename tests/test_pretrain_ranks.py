"""Pre-training in several processes, on one machine and on two, and what ends it early."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import pretrain
from tests.double_run import in_double
from tests.runs import ROOT, call, pretraining
from tests.test_pretrain import curves
from tools.formats import checkpoint


def launch(*command: object) -> subprocess.Popen:
    """Start a launcher of processes on CPUs, in a group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, command)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process: subprocess.Popen) -> tuple[int, str, str]:
    """Wait for a launcher: exit code, output and errors. Asserts that no process is left."""
    try:
        out, err = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, out, err


def flags(data_root: Path, folder: Path, *more: object) -> list[str]:
    """Flags for 3 epochs of 3 steps, with 10, 10 and 4 clips; `more` can override them."""
    return pretraining(data_root, folder, "--epochs", 3, "--batch-size", 10, *more)


@pytest.fixture(scope="module")
def runs(data_root, tmp_path_factory) -> Iterator[dict[str, tuple[subprocess.Popen, Path]]]:
    """Runs of two ranks and their folders: one by torchrun, two that will be cut short.

    Started together, since most of what they do is to import torch; the one that does not end by
    itself is stopped by the first test.
    """
    root = tmp_path_factory.mktemp("ranks")
    ranks = ("--standalone", "--nproc_per_node", 2)
    long = ("--epochs", 10**6, "--save-every", 10**6)
    commands = {
        "whole": (("torch.distributed.run", *ranks, "-m", "tests.double_run"), ()),
        "dying": (("tools.launch", *ranks, "-m", "tests.dying_rank", root / "died", 5), ()),
        "stopped": (("tools.launch", *ranks, "pretrain.py"), long),
    }
    started = {
        name: (launch(*command, *flags(data_root, root / name, *more)), root / name)
        for name, (command, more) in commands.items()
    }
    yield started
    for process, _ in started.values():
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_ranks_that_are_told_to_stop_save_first(runs):
    process, folder = runs["stopped"]
    while not process.stdout.readline().startswith("epoch 1/"):
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGTERM)
    code, out, err = ended(process)
    assert (code, err) == (128 + signal.SIGTERM, "")
    assert "stopped by SIGTERM at step " in out
    saved = checkpoint.newest(folder)
    assert f"goes on from {saved}" in out
    assert checkpoint.load(saved)["epoch"] >= 1


def test_a_rank_that_dies_brings_the_run_down_with_one_line(runs):
    process, folder = runs["dying"]
    code, out, err = ended(process)
    assert code == 128 + signal.SIGKILL
    assert "pre-training is done" not in out
    (line,) = err.splitlines()
    assert line.startswith("error: rank 1, process ")
    assert "was ended by SIGKILL" in line
    assert "goes on from the newest checkpoint" in line
    assert checkpoint.newest(folder).name == "checkpoint_0001.pt"


@pytest.fixture(scope="module")
def two_ranks(runs) -> Path:
    """The folder of the run, in float64, that torchrun started."""
    process, folder = runs["whole"]
    code, out, err = ended(process)
    assert code == 0, err
    assert out.count("2 x cpu") == 1  # one of them speaks
    return folder


def test_two_ranks_train_as_one_process_does(data_root, two_ranks, tmp_path):
    with in_double():
        done = call(pretrain.main, *flags(data_root, tmp_path / "run"))
    assert done.code == 0, done.err
    one, two = (checkpoint.load(checkpoint.newest(f)) for f in (tmp_path / "run", two_ranks))
    assert (one["epoch"], one["step"]) == (two["epoch"], two["step"]) == (3, 0)
    assert one["data"] == two["data"]
    for key, weights in one["model"].items():
        assert weights.dtype in (torch.float64, torch.int64)
        torch.testing.assert_close(two["model"][key], weights, rtol=1e-7, atol=1e-9, msg=key)
    ours, theirs = curves(tmp_path / "run"), curves(two_ranks)
    assert ours.keys() == theirs.keys()
    for term in ours:
        if term.startswith(("loss/", "train/grad", "train/lear", "features/")):
            np.testing.assert_allclose(ours[term], theirs[term], rtol=1e-6, err_msg=term)


def slurm(folder: Path, job: int, code: int = 0) -> tuple[int, list[str], list[str]]:
    """Run the sbatch example with the flags `--flag value`, and a srun that ends with `code`.

    Returns how it ends, the command that srun was told to run, and what scontrol was told to do.
    """
    tells = "printf '%s\\n'"
    for name, script in {
        "srun": f'{tells} "$@" > {folder}/srun.txt; exit {code}',
        "scontrol": f'{tells} 127.0.0.1 other; {tells} "$@" > {folder}/scontrol.txt',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "UMURL_PYTHON": sys.executable,
        "SLURM_JOB_ID": str(job),
        "SLURM_NNODES": "2",
        "SLURM_JOB_NODELIST": "node[1-2]",
        "NPROC": "1",
    }
    command = ["bash", "tools/pretrain.sbatch", "--flag", "a value"]
    ended = subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=False)
    told = [(folder / f"{name}.txt").read_text().splitlines() for name in ("srun", "scontrol")]
    return ended.returncode, *told


def free_port(ports: range) -> int:
    """A port that no process listens to."""
    for port in ports:
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port")


def test_the_sbatch_example_starts_the_launcher_and_is_queued_again_when_stopped(tmp_path):
    code, command, control = slurm(tmp_path, 1234)
    assert (code, control) == (0, ["show", "hostnames", "node[1-2]"])
    assert command[:3] == [sys.executable, "-m", "tools.launch"]
    assert command[-3:] == ["pretrain.py", "--flag", "a value"]
    assert "127.0.0.1:29234" in command
    code, _, control = slurm(tmp_path, 1234, code=143)
    assert (code, control) == (143, ["requeue", "1234"])
    code, _, control = slurm(tmp_path, 1234, code=1)
    assert (code, control[0]) == (1, "show")


def test_a_lost_node_is_restarted_and_the_run_ends_as_if_nothing_had_been(
    data_root, two_ranks, tmp_path
):
    # Two "nodes" on this machine, started as the sbatch example starts them.
    _, (_, _, *launcher), _ = slurm(tmp_path, free_port(range(29000, 30000)) - 29000)
    launcher = launcher[: launcher.index("pretrain.py")]
    dying = ("-m", "tests.dying_rank", tmp_path / "died", 5)
    nodes = [launch(*launcher, *dying, *flags(data_root, tmp_path / "run")) for _ in range(2)]
    results = [ended(node) for node in nodes]
    assert [code for code, _, _ in results] == [0, 0], results
    assert (tmp_path / "died").exists()
    out = "".join(out for _, out, _ in results)
    assert "checkpoint_0001.pt: epoch 1, step 0" in out
    assert "Traceback" not in out + "".join(err for _, _, err in results)
    again, before = (checkpoint.load(checkpoint.newest(f)) for f in (tmp_path / "run", two_ranks))
    for key, weights in before["model"].items():
        assert torch.equal(again["model"][key], weights), key
