"""Pre-training from end to end: the published trajectory, and any number of processes."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import pretrain
from net.losses import umurl_loss
from tests.golden_files import MODEL_SIZES
from tests.net.golden_models import golden_model
from tests.published import our_key, zero_gradients
from tests.runs import ROOT, call, pretraining
from tools import checkpoint


def curves(folder: Path) -> dict[str, list[float]]:
    """The scalars that TensorBoard shows of a run."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: [e.value for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


# ---- one process


class GoldenBatches:
    """In the place of TrainingBatches: the views of the reference figures, a batch a step."""

    def __init__(self, views: torch.Tensor):
        self.views = views  # (steps, 4, B, T, M, V, C)

    def __call__(self, *_, **__):
        return self

    def __len__(self):
        return len(self.views)

    def epoch(self, epoch, first_step=0):
        for step, views in enumerate(self.views):
            rows = np.arange(views.shape[1])
            yield SimpleNamespace(
                views=lambda views=views: views, shares=[len(rows)], step=step, rows=rows
            )


@pytest.mark.parametrize("name", MODEL_SIZES)
def test_training_follows_the_published_trajectory(name, data_root, tmp_path, monkeypatch):
    golden, model, views = golden_model(name)
    monkeypatch.setattr(pretrain, "TrainingBatches", GoldenBatches(views))
    monkeypatch.setitem(pretrain.METHODS, "umurl", (lambda *_: model, umurl_loss))
    sizes = [w for k, v in MODEL_SIZES[name].items() for w in (f"--{k.replace('_', '-')}", v)]
    done = call(pretrain.main, *pretraining(data_root, tmp_path / "run", "--epochs", 1, *sizes))
    assert done.code == 0, done.err

    shown = curves(tmp_path / "run")
    regulated = np.add(shown["loss/variance"], shown["loss/covariance"])
    trajectory = [shown["loss/intra"], shown["loss/inter"], regulated, shown["loss/total"]]
    published = golden["train/intra_inter_reg_total"]
    np.testing.assert_allclose(np.transpose(trajectory), published, rtol=1e-4)

    norm = np.sqrt(sum(v**2 for key, v in golden.items() if key.startswith("grad0_norm/")))
    assert shown["train/gradient_norm"][0] == pytest.approx(norm, rel=1e-3)

    trained = checkpoint.load(checkpoint.newest(tmp_path / "run"))["model"]
    after = {our_key(k[6:]): v for k, v in golden.items() if k.startswith("after/")}
    assert len(after) == 5
    for key, weights in after.items():
        # The running means of a batch norm see the bias before it, of which Adam makes steps as
        # large as the learning rate, in whatever direction rounding takes: 5e-4 a step.
        atol = 5e-4 if key.endswith("running_mean") else 0
        error = np.linalg.norm(trained[key].numpy() - weights)
        assert error < 1e-3 * np.linalg.norm(weights) + atol * weights.size**0.5, key


def test_weight_decay_is_an_l2_term_of_the_gradient(data_root, tmp_path, monkeypatch):
    _, model, views = golden_model("model_small")
    own, fused, _ = model(views[0])
    umurl_loss(own, fused)["total"].backward()
    before = {k: (p.detach().clone(), p.grad.clone()) for k, p in model.named_parameters()}
    monkeypatch.setattr(pretrain, "TrainingBatches", GoldenBatches(views[:1]))
    monkeypatch.setitem(pretrain.METHODS, "umurl", (lambda *_: model, umurl_loss))
    sizes = ("--hidden-size", 16, "--projector-width", 64)
    more = ("--epochs", 1, "--wd", 0.5, "--lr", 0.01, *sizes)
    assert call(pretrain.main, *pretraining(data_root, tmp_path / "run", *more)).code == 0
    trained = checkpoint.load(checkpoint.newest(tmp_path / "run"))["model"]
    for key, (weight, grad) in before.items():
        grad = grad + 0.5 * weight
        clear = grad.abs() > 1e-3  # else it may be rounding that decides where the step goes
        expected = weight - 0.01 * grad.sign()  # the first step of Adam (Kingma & Ba 2015)
        torch.testing.assert_close(trained[key][clear], expected[clear], rtol=1e-4, atol=1e-5)


def test_training_learns_and_leaves_what_it_promises(data_root, tmp_path):
    folder = tmp_path / "run"
    flags = ("--epochs", 6, "--lr", 1e-2, "--hidden-size", 16, "--schedule", 5)
    done = call(pretrain.main, *pretraining(data_root, folder, *flags))
    assert (done.code, done.err) == (0, "")
    assert "24 training clips, 2 steps an epoch" in done.out
    assert f"pre-training is done: {folder}/checkpoint_0006.pt" in done.out
    assert "./script_action_recognition.sh run" in done.out
    shown = curves(folder)
    total = shown["loss/total"]
    assert len(total) == 12
    assert np.mean(total[-2:]) < 0.95 * np.mean(total[:2])
    assert all(np.isfinite(values).all() for values in shown.values())
    terms = [np.array(shown[f"loss/{term}"]) for term in ("intra", "inter")]
    regulated = np.add(shown["loss/variance"], shown["loss/covariance"])
    np.testing.assert_allclose(total, 5 * np.sum(terms, 0) + regulated, rtol=1e-5)
    np.testing.assert_allclose(shown["train/learning_rate"], [1e-2] * 10 + [1e-3] * 2, rtol=1e-5)
    assert min(shown["features/std"]) > 0
    assert min(shown["train/clips_per_second"]) > 0


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--hidden-size", 10, "--num-head", 4], "--hidden-size 10 cannot be divided by"),
        (["--amp", "fp16"], "--amp fp16 needs a GPU"),
        (["--pre-dataset", "ntu60", "--protocol", "cross_setup"], "has no protocol 'cross_setup'"),
        (["--data-root", "nowhere"], "is missing; prepare the data with"),
        (["--batch-sise", 8], "unrecognized arguments: --batch-sise"),
        (["--batch-size", 0], "'0' is not a whole number from 1"),
        (["--lr", "fast"], "'fast' is not a number from 0 on"),
        (["--seed", -1], "'-1' is not a whole number"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(data_root, tmp_path, flags, complaint):
    refused = call(pretrain.main, *pretraining(data_root, tmp_path / "run", *flags))
    assert refused.code > 0
    assert complaint in refused.err
    assert len(refused.err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_batch_that_ranks_cannot_share_is_refused():
    args = SimpleNamespace(batch_size=8, hidden_size=8, num_head=1, amp="off")
    process = SimpleNamespace(world_size=3, device=torch.device("cpu"))
    with pytest.raises(pretrain.cli.UserError, match="--batch-size 8 cannot be divided by 3 ranks"):
        pretrain.check(args, np.arange(9), process)
    process.world_size = 4
    pretrain.check(args, np.arange(9), process)
    with pytest.raises(pretrain.cli.UserError, match="1 training clips are too few"):
        pretrain.check(args, np.arange(1), process)


# ---- many processes


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
    """Its exit code, output and errors; nothing of it lives on."""
    try:
        out, err = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, out, err


def flags(data_root: Path, folder: Path, *more: object) -> list[str]:
    """3 epochs of 3 steps: 24 clips in batches of 10, 10 and 4; flags that come later win."""
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
        "whole": (("torch.distributed.run", *ranks, "pretrain.py"), ()),
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
    """The folder of the run that torchrun started."""
    process, folder = runs["whole"]
    code, out, err = ended(process)
    assert code == 0, err
    assert out.count("2 x cpu") == 1  # one of them speaks
    return folder


def test_two_ranks_train_as_one_process_does(data_root, two_ranks, tmp_path):
    done = call(pretrain.main, *flags(data_root, tmp_path / "run"))
    assert done.code == 0, done.err
    one, two = (checkpoint.load(checkpoint.newest(f)) for f in (tmp_path / "run", two_ranks))
    assert (one["epoch"], one["step"]) == (two["epoch"], two["step"]) == (3, 0)
    assert one["data"] == two["data"]
    noisy = zero_gradients(one["model"])
    for key, weights in one["model"].items():
        if key in noisy or key.endswith("running_mean"):  # steps that follow the rounding
            torch.testing.assert_close(two["model"][key], weights, rtol=0, atol=9 * 2 * 5e-4)
        else:
            pair = torch.stack([two["model"][key], weights]).float()
            if key.endswith("in_proj_bias"):  # that of the keys moves no softmax
                pair = pair.unflatten(1, (3, -1))[:, [0, 2]]
            assert (pair[0] - pair[1]).norm() <= 2e-3 * pair[1].norm(), key
    ours, theirs = curves(tmp_path / "run"), curves(two_ranks)
    assert ours.keys() == theirs.keys()
    for term in ours:
        if term.startswith(("loss/", "train/grad", "train/lear", "features/")):
            np.testing.assert_allclose(ours[term], theirs[term], rtol=1e-3, err_msg=term)


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
    """One of some ports, that nobody listens to."""
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
