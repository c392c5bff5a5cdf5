"""Pre-training on several ranks: the run of one process, stops, and a rank that is lost."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

import pretrain
from common import UserError
from tests.double_run import in_double
from tests.published import zero_gradients
from tests.ranks import run_ranks
from tests.runs import ROOT, call, pretraining
from tests.test_pretrain import curves
from tools.training import checkpoint, distributed
from tools.training.distributed import Process, StopSignal


def flags(data_root: Path, folder: Path, method: str, *more: object) -> list[str]:
    """Two epochs of 24 clips; batches of 7, 7, 7 and 3, so that one of four ranks has no clip."""
    own = ("--epochs", 2, "--batch-size", 7, "--method", method)
    return pretraining(data_root, folder, *own, *more)


def on_a_rank(*flags: str) -> None:
    """Train in float64: ranks sum in another order, which in float32 may tip a maximum over."""
    with in_double():
        pretrain.main([*flags])


@pytest.mark.parametrize(("world_size", "method"), [(2, "umurl"), (4, "umurl_pair"), (3, "joint")])
def test_ranks_train_as_one_process_does(data_root, tmp_path, world_size, method):
    ranks = tmp_path / "ranks"
    run_ranks(world_size, on_a_rank, *flags(data_root, ranks, method), joined=False)
    with in_double():
        done = call(pretrain.main, *flags(data_root, tmp_path / "run", method))
    assert done.code == 0, done.err
    one, many = (checkpoint.load(checkpoint.newest(f)) for f in (tmp_path / "run", ranks))
    assert (one["epoch"], one["data"]) == (many["epoch"], many["data"])
    rounding = zero_gradients(one["model"])  # of which Adam makes small steps
    for key, weights in one["model"].items():
        atol = 1e-5 if key in rounding or "running_mean" in key else 1e-9
        torch.testing.assert_close(many["model"][key], weights, rtol=1e-7, atol=atol, msg=key)
    ours, theirs = curves(tmp_path / "run"), curves(ranks)
    assert ours.keys() == theirs.keys()
    for tag in ours.keys() - {"train/clips_per_second"}:
        np.testing.assert_allclose(ours[tag], theirs[tag], rtol=1e-6, err_msg=tag)


def agreements(process: Process) -> dict[str, object]:
    last = process.rank == process.world_size - 1
    found = {"all true": distributed.all_true(process, not last)}
    found["of rank 0"] = distributed.from_rank_0(process, torch.tensor([process.rank + 5]))
    try:
        distributed.require_same(process, {"lr": 1, "sha256": "other" if last else "same"})
    except UserError as error:
        found["different"] = str(error)
    stop = StopSignal(process)
    if last:
        os.kill(os.getpid(), signal.SIGTERM)
    found["stop"] = stop.on_any_rank() and stop.number
    return found


def test_ranks_agree():
    for found in run_ranks(2, agreements):
        assert found["all true"] is False and found["of rank 0"] == 5
        assert "sha256" in found["different"]
        assert found["stop"] == signal.SIGTERM


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match="--nproc_per_node"):
        distributed.start()
    assert not dist.is_initialized()


def test_torchrun_saves_at_sigterm_and_the_same_command_continues(data_root, tmp_path):
    folder = tmp_path / "run"
    long = ("--epochs", 10**6, "--save-every", 10**6)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc_per_node", "2", "pretrain.py", *flags(data_root, folder, "umurl", *long)),
        ],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        while not (line := process.stdout.readline()).startswith("epoch 1/"):
            assert line, "the run ended early"
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    saved = checkpoint.load(checkpoint.newest(folder))
    assert process.returncode != 0 and saved["epoch"] >= 1, out
    done = call(pretrain.main, *flags(data_root, folder, "umurl", "--epochs", saved["epoch"] + 1))
    assert done.code == 0, done.err
    assert checkpoint.load(checkpoint.newest(folder))["epoch"] == saved["epoch"] + 1
