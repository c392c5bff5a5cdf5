"""Pre-training on several ranks: the run of one process, agreements, and stops.

Ranks sum in another order than one process. In float32 the rounding may change which token is a
maximum or whether a ReLU is zero, so these runs are in float64.
"""

import os
import signal
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
import torch
import torch.distributed as dist

import pretrain
from common import UserError
from feeder.batches import Batch
from feeder.store import open_store
from tests.golden_files import zero_gradients
from tests.runs import ROOT, curves, pretraining, run_ranks, train
from tools.training import checkpoint, distributed
from tools.training.distributed import StopSignal

# Of 24 clips: batches of 7, 7, 7 and 3, so that one of four ranks has no clip.
UNEVEN = ("--epochs", 2, "--batch-size", 7)


def pretrain_in_double(flags: list[str]) -> None:
    """Pre-train with networks and views in float64, in a process of its own."""
    views = Batch.views

    def in_float64(batch: Batch, *arguments) -> torch.Tensor:
        clips = batch.clips._replace(frames=batch.clips.frames.double())
        return views(batch._replace(clips=clips), *arguments)

    torch.set_default_dtype(torch.float64)
    with mock.patch.object(Batch, "views", in_float64):
        pretrain.main(flags)


@pytest.mark.parametrize(("world_size", "method"), [(2, "umurl"), (4, "umurl_pair"), (3, "joint")])
def test_ranks_train_as_one_process_does(data_root, tmp_path, world_size, method):
    alone, ranks = tmp_path / "alone", tmp_path / "ranks"
    for number, folder in ((1, alone), (world_size, ranks)):
        flags = pretraining(data_root, folder, *UNEVEN, "--method", method)
        run_ranks(number, pretrain_in_double, flags)
    one, many = (checkpoint.load(checkpoint.newest(folder)) for folder in (alone, ranks))
    assert (one["epoch"], one["data"]) == (many["epoch"], many["data"])
    rounding = zero_gradients(one["model"])  # of which Adam makes small steps
    for key, weights in one["model"].items():
        atol = 1e-5 if key in rounding or "running_mean" in key else 1e-9
        torch.testing.assert_close(many["model"][key], weights, rtol=1e-7, atol=atol, msg=key)
    ours, theirs = curves(alone), curves(ranks)
    assert ours.keys() == theirs.keys()
    for tag in ours.keys() - {"train/clips_per_second"}:
        np.testing.assert_allclose(ours[tag], theirs[tag], rtol=1e-6, err_msg=tag)


def agreements(data_root) -> dict[str, object]:
    process = distributed.start()
    last = process.rank == process.world_size - 1
    found = {"of rank 0": distributed.from_rank_0(process, torch.tensor([process.rank + 5]))}
    with pytest.raises(UserError, match="sha256"):
        distributed.require_same(process, {"lr": 1, "sha256": "other" if last else "same"})
    store, args = open_store(data_root, "ntu60"), pretrain.parse_args(["--resident", "auto"])
    all_true = distributed.all_true
    gpu = distributed.Process(process.rank, process.world_size, torch.device("cuda"))
    free = store.nbytes if last else 2 * store.nbytes  # too little on the last rank
    with (
        mock.patch("torch.cuda.mem_get_info", return_value=(free, 0)),
        mock.patch.object(distributed, "all_true", lambda _, fits: all_true(process, fits)),
    ):
        found["resident"] = pretrain.is_resident(args, store, gpu)
    stop = StopSignal(process)
    if last:
        os.kill(os.getpid(), signal.SIGTERM)
    found["stop"] = stop.on_any_rank() and stop.number
    return found


def test_ranks_agree(data_root):
    for found in run_ranks(2, agreements, data_root):
        assert found == {"of rank 0": 5, "resident": False, "stop": signal.SIGTERM}


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match="--nproc_per_node"):
        distributed.start()
    assert not dist.is_initialized()


def test_torchrun_saves_at_sigterm_and_the_same_command_continues(data_root, tmp_path):
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    long = pretraining(data_root, tmp_path, "--epochs", 10**6, "--save-every", 10**6)
    process = subprocess.Popen(
        [sys.executable, *torchrun, "pretrain.py", *long],
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
    epoch, _ = checkpoint.position(checkpoint.newest(tmp_path))
    assert process.returncode != 0 and epoch >= 1, out
    train(data_root, tmp_path, "--epochs", epoch + 1)
    assert checkpoint.position(checkpoint.newest(tmp_path)) == (epoch + 1, 0)
