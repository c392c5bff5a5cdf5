"""Any number of ranks: the same clips, draws, loss terms and gradients as one process.

What is compared between ranks and one process is computed in float64: ranks sum in another order,
and in float32 that rounding may tip a maximum or a ReLU over, from which a gradient jumps.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from feeder.batches import TrainingBatches, resident_frames
from feeder.store import open_store
from net.losses import umurl_loss
from net.methods import METHODS
from net.ranks import ALONE as ALONE_RANKS
from net.ranks import Ranks
from net.umurl import UmURL
from tests.ranks import run_ranks
from tools.cli import UserError
from tools.training import distributed
from tools.training.distributed import Process
from tools.training.run import pretrain
from tools.training.settings import Settings
from tools.training.step import Training, training_step

BATCH = 8
# Training clips, of which the last batch has 8, 7, 3 and 2: with 4 ranks, some have no clip.
CLIPS = (16, 15, 11, 10)
STEPS = 2
STRICT = {"rtol": 1e-9, "atol": 1e-9}  # of float64
SHAPES = {  # of what the methods' models give
    "umurl": [(3, 11, 5), (3, 11, 5), (11, 4)],
    "umurl_halves": [(3, 11, 5), (3, 11, 5), (2, 3, 11, 5), (2, 3, 11, 5), (11, 4)],
    "umurl_pair": [(3, 11, 5), (3, 11, 5), (3, 11, 5), (11, 4)],
}
ALONE = Process(0, 1, torch.device("cpu"))


def own_loss(unimodal, fused, feature):
    """As a user may write it, of the outputs of all clips."""
    return umurl_loss(unimodal, fused, feature)


def steps_of_an_epoch(
    process: Process, data_root: str, clips: int, norm: bool, loss: Callable = umurl_loss
) -> list[dict]:
    """What each step of an epoch sees and computes on this rank, all with the first weights.

    norm: whether batch norm sees batch statistics, else the running ones.
    """
    store = open_store(data_root, "ntu60")
    batches = TrainingBatches(
        *(store, np.arange(clips), BATCH, 3, process.device),
        frames=resident_frames(store, process.device).double(),
        rank=process.rank,
        world_size=process.world_size,
    )
    torch.manual_seed(0)
    model = UmURL(hidden_size=8, projector_width=16).double().train(norm)
    network = distributed.parallel(model, process)
    optimizer = torch.optim.Adam(model.parameters(), weight_decay=1e-5)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    training = Training(network, loss, optimizer, scaler, None, process)
    seen = []
    for batch in batches.epoch(1):
        # With a learning rate of 0 the weights stay, and only running statistics move on.
        scalars = training_step(training, batch, 0.0)
        gradients = {key: p.grad.clone() for key, p in model.named_parameters()}
        seen.append(
            {
                "rows": torch.from_numpy(batch.rows),
                "uniform": batch.uniform,
                "views": batch.views(),
                "scalars": scalars,
                "gradients": gradients,
                "buffers": {key: b.clone() for key, b in model.named_buffers()},
            }
        )
    return seen


def gathered(process: Process) -> dict:
    """Rows gathered from uneven shares, and the loss's gradient for this rank's own."""
    shares = {1: [6], 2: [5, 1], 3: [3, 0, 3], 4: [3, 2, 0, 1]}[process.world_size]
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(6, sum(shares), 5, generator=generator, dtype=torch.float64)
    first = sum(shares[: process.rank])
    mine = z[:, first : first + shares[process.rank]].requires_grad_()
    rows = Ranks(tuple(shares), process.rank).gather(mine)
    loss = umurl_loss(*rows.split(3))["total"]
    loss.backward()
    return {"rows": rows.detach(), "loss": loss.detach(), "gradient": mine.grad}


def shares_of_the_losses(process: Process) -> dict[str, dict]:
    """Of each method's loss on uneven shares, more clips than dimensions: scalars and gradient."""
    number = process.world_size
    ranks = Ranks({1: (11,), 2: (8, 3), 3: (8, 3, 0), 4: (7, 0, 3, 1)}[number], process.rank)
    found = {}
    for name, method in METHODS.items():
        generator = torch.Generator().manual_seed(0)
        outputs = [
            torch.randn(*shape, generator=generator, dtype=torch.float64)
            for shape in SHAPES.get(name, [(1, 11, 5), (1, 11, 5), (11, 4)])
        ]
        first = sum(ranks.shares[: ranks.rank])
        mine = [
            x[..., first : first + ranks.shares[ranks.rank], :].requires_grad_() for x in outputs
        ]
        terms = method.load_loss()(*mine, ranks=ranks)
        gradients = torch.autograd.grad(terms["total"], mine[:-1])
        found[name] = {key: term.detach() for key, term in terms.items()}
        found[name]["gradients"] = list(gradients)
    return found


def checkpoint_of(rank: int) -> dict:
    """What a rank may have saved."""
    torch.manual_seed(rank)
    model = torch.nn.BatchNorm1d(3)
    torch.nn.init.normal_(model.weight)
    state = {0: {"step": torch.tensor(float(7 + rank))}}
    return {"model": model.state_dict(), "optimizer": {"state": state}, "epoch": 3}


def agreement(process: Process, folder: str) -> dict[str, str]:
    """What processes tell each other."""

    def refuse():
        raise UserError(f"no, says rank {process.rank}")

    told = distributed.from_main(process, lambda: {"rank": process.rank})
    said = {"told": str(told)}
    saved = distributed.from_main(process, lambda: checkpoint_of(process.rank))
    expected = checkpoint_of(0)
    said["attributes"] = str(saved["model"]._metadata == expected["model"]._metadata)
    for name, tensor in expected["model"].items():
        said[name] = str(torch.equal(saved["model"][name], tensor) and saved["model"][name].dtype)
    said["moments"] = str(saved["optimizer"]["state"][0]["step"].item())
    last = process.world_size - 1
    store = str(Path(folder, "ntu60" if process.rank < last else "no store"))
    same, other = {"lr": 1, "sha256": "a"}, {"lr": 1, "sha256": "b"}
    tries = {
        "everywhere": partial(distributed.on_all_ranks, process, partial(os.listdir, store)),
        "refused": partial(distributed.from_main, process, refuse),
        "alike": partial(distributed.require_alike, process, same),
        "unlike": partial(
            distributed.require_alike, process, other if process.rank == last else same
        ),
    }
    for name, attempt in tries.items():
        try:
            attempt()
            said[name] = ""
        except UserError as error:
            said[name] = str(error)
    stop = distributed.StopSignal(process)
    stop.listen()
    if process.rank == last:
        os.kill(os.getpid(), 15)
    asked = [stop.received(ask_ranks=ask) for ask in (False, True, True)]
    said["stops"] = str(asked)
    return said


def on_a_rank(process: Process, data_root: str) -> dict:
    """Everything that the tests below look at, so that ranks start once."""
    return {
        "epochs": {
            f"{clips} {norm}": steps_of_an_epoch(process, data_root, clips, norm)
            for clips in CLIPS
            for norm in (True, False)
        },
        "own loss": steps_of_an_epoch(process, data_root, CLIPS[0], True, own_loss),
        "shares": shares_of_the_losses(process),
        "gathered": gathered(process),
        "agreement": agreement(process, data_root),
    }


@pytest.fixture(scope="module")
def one(data_root):
    """Of one process, in this one."""
    return {
        f"{clips} {norm}": steps_of_an_epoch(ALONE, str(data_root), clips, norm)
        for clips in CLIPS
        for norm in (True, False)
    }


@pytest.fixture(scope="module", params=[2, 3, 4])
def ranks(request, data_root):
    """Of two, three and four ranks."""
    return run_ranks(request.param, on_a_rank, str(data_root))


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("clips", CLIPS)
def test_ranks_see_and_compute_what_one_process_does(one, ranks, clips, norm):
    close = torch.testing.assert_close
    alone = one[f"{clips} {norm}"]
    together = [rank["epochs"][f"{clips} {norm}"] for rank in ranks]
    assert len(alone) == STEPS
    for step, whole in enumerate(alone):
        parts = [rank[step] for rank in together]
        assert torch.equal(torch.cat([part["uniform"] for part in parts], 1), whole["uniform"])
        close(torch.cat([part["views"] for part in parts], 1), whole["views"], **STRICT)
        for part in parts:
            assert torch.equal(part["rows"], whole["rows"])
            assert part["scalars"].keys() == whole["scalars"].keys()
            for kind in ("scalars", "gradients", "buffers"):
                for name, value in whole[kind].items():
                    assert value.dtype in (torch.float64, torch.int64)
                    close(part[kind][name], value, **STRICT)
            # Bit by bit the same on all ranks: they could not drift apart.
            for kind in ("scalars", "gradients", "buffers"):
                for name, value in parts[0][kind].items():
                    assert torch.equal(part[kind][name], value), name
    if len(ranks) == 4:
        fewest = min(rank[-1]["views"].shape[1] for rank in together)
        assert fewest == {16: 2, 15: 1, 11: 0, 10: 0}[clips]


def test_rows_are_gathered_and_their_gradient_goes_back(ranks):
    whole = gathered(ALONE)
    for rank in ranks:
        assert torch.equal(rank["gathered"]["rows"], whole["rows"])
        torch.testing.assert_close(rank["gathered"]["loss"], whole["loss"], **STRICT)
    gradient = torch.cat([rank["gathered"]["gradient"] for rank in ranks], dim=1)
    torch.testing.assert_close(gradient, whole["gradient"], **STRICT)


def test_a_loss_of_ones_own_gets_all_clips_and_trains_alike(one, ranks):
    for rank in ranks:
        for step, whole in zip(rank["own loss"], one[f"{CLIPS[0]} True"], strict=True):
            for kind in ("scalars", "gradients"):
                for name, value in whole[kind].items():
                    torch.testing.assert_close(step[kind][name], value, **STRICT)


@pytest.mark.parametrize("method", METHODS)
def test_the_shares_of_a_loss_make_the_whole(ranks, method):
    whole = shares_of_the_losses(ALONE)[method]
    parts = [rank["shares"][method] for rank in ranks]
    for term in whole.keys() - {"gradients"}:
        torch.testing.assert_close(sum(part[term] for part in parts), whole[term], **STRICT)
    for i, gradient in enumerate(whole["gradients"]):
        together = torch.cat([part["gradients"][i] for part in parts], dim=-2)
        torch.testing.assert_close(together, gradient, **STRICT)


def test_processes_agree(ranks):
    last = len(ranks) - 1
    for rank in ranks:
        said = rank["agreement"]
        assert said["told"] == "{'rank': 0}"
        assert (said["attributes"], said["moments"]) == ("True", "7.0")
        assert {said[f"running_{name}"] for name in ("mean", "var")} == {"torch.float32"}
        assert (said["weight"], said["num_batches_tracked"]) == ("torch.float32", "torch.int64")
        assert said["refused"] == "no, says rank 0"
        assert said["alike"] == ""
        assert said["everywhere"].startswith(f"on rank {last}: [Errno 2] No such file")
        assert said["unlike"].startswith(f"sha256 is b on rank {last} and a on rank 0")
        assert said["stops"] == "[False, True, True]"


def test_one_process_needs_no_others():
    rows = torch.ones(3, 2)
    assert Ranks((3,), 0).gather(rows) is ALONE_RANKS.gather(rows) is rows
    assert (
        distributed.from_main(ALONE, lambda: 7) == distributed.on_all_ranks(ALONE, lambda: 7) == 7
    )
    distributed.require_alike(ALONE, {"lr": 1})
    model = torch.nn.Linear(1, 1)
    assert distributed.parallel(model, ALONE) is model


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(UserError, match="more processes than the 2 GPUs here"):
        distributed.start()


def one_modality(process: Process, data_root: str, folder: str) -> bool:
    """Train on joints alone, so that embeddings of the others take no part; whether to the end."""
    settings = Settings(
        method="joint",
        hidden_size=8,
        projector_width=16,
        batch_size=12,
        epochs=2,
        workers=0,
        monitor_every=0,
        checkpoint_path=Path(folder),
        pre_dataset="ntu60",
    )
    return pretrain(settings, open_store(data_root, "ntu60"), process)


def test_weights_without_a_gradient_are_not_waited_for(data_root, tmp_path):
    assert run_ranks(2, one_modality, str(data_root), str(tmp_path)) == [True, True]
