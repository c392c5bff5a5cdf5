"""A mistake of the user ends with one line that says what to do, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import action_classification
import action_retrieval
import pretrain
from data_gen import ntu_gendata
from feeder.store import open_store
from tests.runs import ROOT, SMALL, Outcome, call, pretraining, server
from tests.tiny_run import write_run
from tests.tiny_store import write_store
from tools import cli
from tools.formats import checkpoint
from tools.training import run as training
from tools.training.distributed import Process

EVALUATIONS = {"recognition": action_classification.main, "retrieval": action_retrieval.main}


def assert_one_line(ended: Outcome, code: int, *texts: object) -> None:
    assert ended.code == code, ended
    assert re.fullmatch(r"error: [^\n]*\n", ended.err), ended.err
    for text in texts:
        assert str(text) in ended.err, ended.err


def tree(folder: Path) -> dict[Path, bytes | None]:
    """All files and folders in a folder."""
    paths = sorted(folder.rglob("*"))
    return {path: path.read_bytes() if path.is_file() else None for path in paths}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty folder, which is the current folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def start():
    """A function that starts runs of pretrain.py in other processes: see tests.runs.server."""
    with server() as start:
        yield start


@pytest.fixture(scope="module")
def run(tmp_path_factory, data_root) -> Path:
    """The folder of a finished run with the sizes in tests.runs.SMALL."""
    folder = tmp_path_factory.mktemp("run") / "done"
    assert call(pretrain.main, *pretraining(data_root, folder, "--epochs", 1)).code == 0
    return folder


# ---- preparing


@pytest.mark.parametrize("flags", [[], ["--dataset", "ntu60"], ["--dataset", "ntu120"]])
def test_no_raw_data(here, monkeypatch, flags):
    raw = here.parent / "raw"
    raw.mkdir()
    monkeypatch.setattr(sys, "argv", ["ntu_gendata.py"])

    def prepare() -> None:
        sys.exit(ntu_gendata.main(["--data_path", str(raw), "--out_folder", str(here), *flags]))

    assert_one_line(call(prepare), 1, f"no .skeleton file in {raw}", "download", "--data_path")
    assert not tree(here)


# ---- pre-training


BAD_FLAGS = [
    (["--typo", 3], "unrecognized arguments: --typo 3"),
    (["--epoch", 3], "unrecognized arguments: --epoch 3"),
    (["--epochs", 0], "--epochs: '0' is not a whole number from 1"),
    (["--epochs", "many"], "--epochs: 'many' is not a whole number"),
    (["--lr", "nan"], "--lr: 'nan' is not a number"),
    (["--lr", -1], "--lr"),
    (["--wd", "inf"], "--wd: 'inf' is not a number"),
    (["--hidden-size", 10**9], "--hidden-size: '1000000000' is not a whole number from 1 to 65536"),
    (["--schedule", "late"], "--schedule: 'late'"),
    (["--amp", "fp8"], "--amp: invalid choice: 'fp8'"),
]
BAD_SETTINGS = [
    (["--protocol", "cross_setup"], "has no protocol 'cross_setup'; it has cross_subject"),
    (["--protocol", "xsub"], "has no protocol 'xsub'; it has cross_subject"),
    (["--pre-dataset", "ntu"], "ntu/joints.npy is missing"),
    (["--pre-dataset", "../ntu60"], "../joints.npy is missing"),
    (["--hidden-size", 10, "--num-head", 4], "--hidden-size 10 cannot be divided by --num-head 4"),
    (["--amp", "fp16"], "--amp fp16 needs a GPU; take auto, bf16 or off"),
    (["--data-root", "nowhere"], "nowhere/ntu60/joints.npy is missing; prepare the data with"),
    (["--resume", "nowhere.pt"], "nowhere.pt: no such checkpoint"),
]


@pytest.mark.parametrize(("flags", "text"), BAD_FLAGS)
def test_pretraining_with_bad_flags(here, data_root, flags, text):
    ended = call(pretrain.main, *pretraining(data_root, here / "run", *flags))
    assert_one_line(ended, 2, text, "(see pretrain.py --help)")
    assert not tree(here)


@pytest.mark.parametrize(("flags", "text"), BAD_SETTINGS)
def test_pretraining_with_settings_that_cannot_work(here, data_root, flags, text):
    ended = call(pretrain.main, *pretraining(data_root, here / "run", *flags))
    assert_one_line(ended, 1, text)
    assert ended.out == ""
    assert not tree(here)


def test_a_batch_that_the_ranks_cannot_share():
    with pytest.raises(cli.UserError, match="--batch-size 12 is less than a clip for each of 13"):
        training.check(
            pretrain.parse_args(SMALL), np.arange(24), Process(0, 13, torch.device("cpu"))
        )


def damaged_stores(root: Path) -> dict[str, Callable[[], object]]:
    joints, samples = root / "ntu60" / "joints.npy", root / "ntu60" / "samples.csv"
    lines = samples.read_text().splitlines()
    return {
        "joints.npy: ": lambda: os.truncate(joints, 10_000),
        "joints.npy:": lambda: joints.write_bytes(b"joints"),
        "joints.npy is missing": joints.unlink,
        "samples.csv is missing": samples.unlink,
        "joints.npy: it holds": lambda: samples.write_text("\n".join(lines[:-1])),
        "samples.csv: ": lambda: samples.write_text("\n".join([*lines[:2], lines[2][:-4] + ",x"])),
        "samples.csv:": lambda: samples.write_bytes(b"\xff\xfe"),
        "no training clip under protocol": lambda: samples.write_text(
            "\n".join(re.sub(r"^(\w+,\d+,\d+),\d+", r"\1,3", line) for line in lines)
        ),
    }


@pytest.mark.parametrize("fault", range(8))
@pytest.mark.parametrize("command", ["pretraining", *EVALUATIONS])
def test_a_store_that_is_damaged(here, tmp_path, command, fault):
    root = write_store(tmp_path / "data", clips=12)
    write_run(tmp_path / "run", root)
    text, damage = list(damaged_stores(root).items())[fault]
    damage()
    before = tree(tmp_path / "run")
    if command == "pretraining":
        ended = call(pretrain.main, *pretraining(root, here / "run"))
    else:
        ended = call(EVALUATIONS[command], "--checkpoint-path", tmp_path / "run")
    assert_one_line(ended, 1, text, root / "ntu60")
    assert not tree(here) and tree(tmp_path / "run") == before


def broken_checkpoints(folder: Path, whole: Path) -> dict[str, Path]:
    """{part of the message: a checkpoint from which a run cannot go on}."""
    folder.mkdir()
    content = torch.load(whole, weights_only=True)
    published = {"epoch": 451, "state_dict": content["model"], "optimizer": {}}
    less = {name: value for name, value in content.items() if name != "optimizer"}
    other = content | {"model": dict(content["model"])}
    name = "encoder.temporal.fusion.weight"
    other["model"][name] = torch.zeros(8, 9)
    nan = content | {"model": dict(content["model"])}
    nan["model"][name] = torch.full((8, 8), torch.nan)
    files = {
        "not a checkpoint of this code": published,
        "it lacks 'optimizer'": less,
        "fusion.weight is torch.float32 [8, 9], the model's is torch.float32 [8, 8]": other,
        "fusion.weight is not finite": nan,
    }
    paths = {text: folder / f"{number}.pt" for number, text in enumerate(files)}
    for text, path in paths.items():
        torch.save(files[text], path)
    (folder / "text.pt").write_text("no checkpoint")
    (folder / "cut.pt").write_bytes(whole.read_bytes()[:-5000])
    names = {"no such checkpoint": "none.pt", "damaged or not": "text.pt", " is damaged": "cut.pt"}
    return paths | {text: folder / name for text, name in names.items()}


@pytest.mark.parametrize("number", range(7))
@pytest.mark.parametrize("command", ["pretraining", *EVALUATIONS])
def test_a_checkpoint_that_is_broken_or_of_other_code(
    here, tmp_path, data_root, run, command, number
):
    broken = broken_checkpoints(tmp_path / "broken", checkpoint.newest(run))
    text, path = list(broken.items())[number]
    before = tree(run)
    if command == "pretraining":
        flags = pretraining(data_root, here / "run", "--resume", path)
        ended = call(pretrain.main, *flags)
    else:
        ended = call(EVALUATIONS[command], "--checkpoint-path", run, "--pretrained", path)
    assert_one_line(ended, 1, text)
    assert not checkpoint.in_folder(here / "run") and not list(here.rglob("events*"))
    assert tree(run) == before


def test_a_place_that_is_no_folder(here, data_root):
    (here / "file").touch()
    for place in ("file", "file/run"):
        ended = call(pretrain.main, *pretraining(data_root, here / place))
        assert_one_line(ended, 1, here / "file")
    assert list(tree(here)) == [here / "file"]


# ---- evaluating


@pytest.mark.parametrize("main", EVALUATIONS.values(), ids=EVALUATIONS)
@pytest.mark.parametrize(
    ("flags", "code", "text"),
    [
        ([], 2, "required: --checkpoint-path"),
        (["--checkpoint-path", "RUN", "--typo"], 2, "unrecognized arguments: --typo"),
        (["--checkpoint-path", "RUN", "--seed", "-1"], 2, "--seed"),
        (["--checkpoint-path", "nowhere"], 1, "nowhere"),
        (["--checkpoint-path", "."], 1, "holds no checkpoint; run ./script_pretrain.sh first"),
        (["--checkpoint-path", "RUN", "--data-root", "x"], 1, "x/ntu60/joints.npy is missing"),
        (["--checkpoint-path", "RUN", "--protocol", "cross_setup"], 1, "has no protocol"),
        (["--checkpoint-path", "RUN", "--pretrained", "finale"], 1, "finale: no such checkpoint"),
    ],
)
def test_evaluations_with_bad_flags(here, run, main, flags, code, text):
    before = tree(run)
    ended = call(main, *(run if flag == "RUN" else flag for flag in flags))
    assert_one_line(ended, code, text)
    assert not tree(here) and tree(run) == before


# ---- numbers that go wrong


def spoil(root: Path, *rows: int, value: float = np.nan) -> list[str]:
    """Put a number that is not finite into some clips of a store; return the names of the clips."""
    joints, store = np.load(root / "ntu60" / "joints.npy"), open_store(root, "ntu60")
    for row in rows:
        # In all frames, so that every crop has such a number. Augmentation multiplies the joint by
        # a matrix or by zero, which gives again a number that is not finite.
        joints[store.start[row] : store.start[row] + store.length[row], 0, 3] = value
    np.save(root / "ntu60" / "joints.npy", joints)
    return [store.names[row] for row in rows]


def test_a_store_with_a_clip_that_is_not_finite_trains_and_judges_nothing(here, run, tmp_path):
    root = write_store(tmp_path / "data")
    (name,) = spoil(root, 7)
    assert_one_line(call(pretrain.main, *pretraining(root, here / "run")), 1, f"clip {name} holds")
    for main in EVALUATIONS.values():
        ended = call(main, "--checkpoint-path", run, "--data-root", root)
        assert_one_line(ended, 1, f"clip {name} holds")
    assert not tree(here)


@pytest.fixture
def damaged_later(monkeypatch):
    """Opening a store does not check its coordinates, as if they were damaged later."""
    monkeypatch.setattr("feeder.store.check_coordinates", lambda *_: None)


@pytest.mark.usefixtures("damaged_later")
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("print_freq", [1, 50])
def test_a_clip_that_is_not_finite_is_named_and_nothing_broken_saved(
    here, tmp_path, value, print_freq
):
    root = write_store(tmp_path / "data")
    rows, _ = open_store(root, "ntu60").split("cross_subject")
    folder = here / "run"
    flags = pretraining(root, folder, "--batch-size", 6, "--print-freq", print_freq)
    assert call(pretrain.main, *flags, "--epochs", 1).code == 0
    before = {path: path.read_bytes() for path in checkpoint.in_folder(folder)}
    (name,) = spoil(root, rows[7], value=value)

    ended = call(pretrain.main, *flags, "--epochs", 9)
    told = (folder / "broken_numbers.txt").read_text().splitlines()
    assert_one_line(ended, 1, f"clips {name} (coordinates are not finite) (all 6 in {folder}")
    assert re.search(r"is (nan|inf) in epoch 2, step [1-4], ", ended.err)
    assert "--lr" not in ended.err  # it is not the cause
    assert f"{name} (coordinates are not finite)" in told
    assert {path: path.read_bytes() for path in checkpoint.in_folder(folder)} == before


@pytest.mark.usefixtures("damaged_later")
def test_a_run_that_is_stopped_right_after_a_broken_step_does_not_save_it(
    here, tmp_path, monkeypatch
):
    root = write_store(tmp_path / "data")
    names = spoil(root, *open_store(root, "ntu60").split("cross_subject")[0])
    real = training.training_step

    def step(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)

    monkeypatch.setattr(training, "training_step", step)
    flags = pretraining(root, here / "run", "--print-freq", 50)
    ended = call(pretrain.main, *flags)
    assert_one_line(ended, 1, "is nan in epoch 1, step 1", "coordinates are not finite")
    assert sum(name in ended.err for name in names) == 3  # a few are enough for a line
    assert not checkpoint.in_folder(here / "run")


def test_a_learning_rate_that_explodes_saves_nothing_broken(here, data_root):
    ended = call(pretrain.main, *pretraining(data_root, here / "run", "--lr", 1e30, "--epochs", 3))
    assert_one_line(ended, 1, "take a smaller --lr")
    assert not list(here.rglob("*.pt")) and not list(here.rglob("*.part"))


def test_a_step_that_overflows_under_fp16_is_skipped_and_counted(here, data_root, monkeypatch):
    real = torch.amp.GradScaler

    def scaler(device: str, enabled: bool) -> torch.amp.GradScaler:
        return real(device, init_scale=2.0**20, enabled=enabled)

    monkeypatch.setattr(torch.amp, "GradScaler", scaler)
    monkeypatch.setattr(training, "check", lambda *_: None)  # which wants a GPU for it
    skipped, weights, real_step = [], [], training.training_step

    def step(told, *arguments):
        before = [parameter.clone() for parameter in told.network.parameters()]
        scalars = real_step(told, *arguments)
        after = list(told.network.parameters())
        skipped.append(scalars["train/skipped"].item())
        weights.append(all(torch.equal(a, b) for a, b in zip(before, after, strict=True)))
        assert all(value.isfinite() for value in scalars.values())
        return scalars

    monkeypatch.setattr(training, "training_step", step)
    flags = pretraining(data_root, here / "run", "--amp", "fp16", "--epochs", 6)
    ended = call(pretrain.main, *flags)
    assert ended.code == 0, ended.err
    assert skipped[0] == 1 and skipped[-1] == 0
    assert weights == [bool(one) for one in skipped]  # the same weights where it was skipped
    saved = checkpoint.load(checkpoint.newest(here / "run"))
    assert saved["scaler"]["scale"] == 2.0 ** (20 - sum(skipped))


# ---- two at once, and what the process itself prints at its end


def test_two_runs_in_one_folder(here, data_root, start):
    first = start(here, pretraining(data_root, here / "run", "--epochs", 10_000))
    while not checkpoint.in_folder(here / "run"):
        assert not first.ended()
        time.sleep(0.01)
    second = call(pretrain.main, *pretraining(data_root, here / "run", "--epochs", 1))
    assert_one_line(second, 1, f"another run is writing to {here / 'run'}")
    assert not first.ended()
    first.kill(signal.SIGKILL)
    first.wait()
    # The lock went with it.
    done = checkpoint.position(checkpoint.newest(here / "run"))[0]
    third = call(pretrain.main, *pretraining(data_root, here / "run", "--epochs", done + 1))
    assert third.code == 0, third.err


def test_a_process_that_failed_prints_nothing_after_its_line(data_root, tmp_path):
    command = [sys.executable, "pretrain.py", *pretraining(data_root, tmp_path / "run")]
    ended = subprocess.run([*command, "--lr", "1e30"], cwd=ROOT, capture_output=True, text=True)
    assert_one_line(Outcome(ended.returncode, ended.stdout, ended.stderr), 1, "a smaller --lr")
