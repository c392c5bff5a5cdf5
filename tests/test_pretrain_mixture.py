"""Pre-training on several data sets at once, and evaluation on any of them."""

import json
from unittest import mock

import pytest
import torch

import action_retrieval
import pretrain
from feeder.mixture import open_data
from feeder.store import open_store
from tests.double_run import in_double
from tests.ranks import run_ranks
from tests.runs import call, pretraining
from tests.tiny_store import write_store
from tools.formats import checkpoint
from tools.training import distributed
from tools.training.run import is_resident
from tools.training.settings import Settings

BOTH = ("--pre-dataset", "ntu60", "ntu120")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A --data-root with ntu60 (24 clips) and ntu120 (72 clips); half of the clips train."""
    root = tmp_path_factory.mktemp("data")
    write_store(root, "ntu60", clips=24)
    return write_store(root, "ntu120", clips=72, seed=1)


def train(root, folder, *flags):
    return call(pretrain.main, *pretraining(root, folder, *flags))


def newest(folder):
    return checkpoint.load(checkpoint.newest(folder))


def test_a_run_draws_from_both_and_is_evaluated_on_either(root, tmp_path):
    folder = tmp_path / "run"
    done = train(root, folder, *BOTH, "--protocol", "cross_view", "cross_setup", "--epochs", 1)
    assert done.code == 0, done.err
    sizes = [
        len(open_store(root, dataset).split(protocol)[0])
        for dataset, protocol in (("ntu60", "cross_view"), ("ntu120", "cross_setup"))
    ]
    for dataset, size in zip(("ntu60", "ntu120"), sizes, strict=True):
        line = next(line for line in done.out.splitlines() if str(root / dataset) in line)
        assert f"{size} training clips, {size} an epoch" in line
    saved = newest(folder)
    assert saved["data"]["training clips"] == sum(sizes) and saved["data"]["clips"] == 96

    for flags, dataset, protocol in (
        ([], "ntu60", "cross_view"),
        (["--finetune-dataset", "ntu120"], "ntu120", "cross_setup"),
        (
            ["--finetune-dataset", "ntu120", "--protocol", "cross_subject"],
            "ntu120",
            "cross_subject",
        ),
    ):
        done = call(action_retrieval.main, "--checkpoint-path", folder, *flags)
        assert done.code == 0, done.err
        results = [json.loads(path.read_text()) for path in folder.glob("retrieval*.json")]
        found = [r for r in results if (r["dataset"], r["protocol"]) == (dataset, protocol)]
        assert len(found) == 1
        train_rows, _ = open_store(root, dataset).split(protocol)
        assert found[0]["training_clips"] == len(train_rows)


def test_a_mixed_run_goes_on_as_if_it_had_not_stopped(root, tmp_path):
    flags = (*BOTH, "--mix", 1, 1, "--batch-size", 10)
    assert train(root, tmp_path / "whole", *flags, "--epochs", 3).code == 0
    for epochs in (1, 3):
        assert train(root, tmp_path / "parts", *flags, "--epochs", epochs).code == 0
    one, other = newest(tmp_path / "whole"), newest(tmp_path / "parts")
    assert one["epoch"] == other["epoch"] == 3
    for name, weight in one["model"].items():
        assert torch.equal(weight, other["model"][name]), name
    wrong = train(root, tmp_path / "parts", *BOTH, "--mix", 2, 1, "--batch-size", 10, "--epochs", 4)
    assert wrong.code == 1 and "--mix" in wrong.err and wrong.err.count("\n") == 1


def train_in_double(process, root, folder, flags):
    """Train on a rank that `run_ranks` has started."""
    joined = {"start": lambda: process, "stop": lambda: None}
    with in_double(), mock.patch.multiple(distributed, **joined):
        done = train(root, folder, *flags)
    return done.code, done.out, done.err


@pytest.mark.parametrize("mix", [(), ("--mix", 2, 1)])
def test_two_ranks_mix_as_one_process_does(root, tmp_path, mix):
    flags = (*BOTH, *mix, "--batch-size", 10, "--epochs", 2)  # the last batch of an epoch is short
    with in_double():
        assert train(root, tmp_path / "one", *flags).code == 0
    ranks = run_ranks(2, train_in_double, root, tmp_path / "two", flags)
    assert [code for code, _, _ in ranks] == [0, 0], ranks
    assert ranks[0][1].count("2 x cpu") == 1 and "2 x cpu" not in ranks[1][1]
    one, two = newest(tmp_path / "one"), newest(tmp_path / "two")
    assert one["epoch"] == two["epoch"] == 2 and one["data"] == two["data"]
    for name, weights in one["model"].items():
        torch.testing.assert_close(two["model"][name], weights, rtol=1e-7, atol=1e-9, msg=name)


def test_a_share_changes_what_is_learned(root, tmp_path):
    for name, mix in (("even", (1, 1)), ("same", (5, 5)), ("odd", (1, 9))):
        assert train(root, tmp_path / name, *BOTH, "--epochs", 1, "--mix", *mix).code == 0
    even, same, odd = (newest(tmp_path / name)["model"] for name in ("even", "same", "odd"))
    assert all(torch.equal(even[name], same[name]) for name in even)
    assert not all(torch.equal(even[name], odd[name]) for name in even)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--pre-dataset", "ntu60", "ntu60"], "ntu60"),
        (["--pre-dataset", "ntu60", "nothing"], "nothing"),
        ([*BOTH, "--protocol", *3 * ["cross_subject"]], "protocols"),
        ([*BOTH, "--protocol", "cross_view"], "cross_view"),
        ([*BOTH, "--mix", 1], "--mix"),
        ([*BOTH, "--mix", 1, 1e-9], "--mix"),
        (["--mix", 1, 1], "--mix"),
    ],
)
def test_what_cannot_be_mixed_is_refused_in_one_line(root, tmp_path, flags, named):
    wrong = train(root, tmp_path / "run", "--epochs", 1, *flags)
    assert wrong.code != 0 and named in wrong.err and wrong.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_frames_of_several_stores_stay_on_disk_on_a_cpu(root):
    data = open_data(root, "ntu60/ntu120")
    for resident in ("auto", "on", "off"):
        assert not is_resident(Settings(resident=resident), data, torch.device("cpu"))
    assert is_resident(Settings(), open_data(root, "ntu60"), torch.device("cpu"))
