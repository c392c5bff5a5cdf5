"""The shell scripts from end to end on a tiny store, and the set-up that they share."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pretrain

TINY = "--hidden-size 16 --projector-width 32 --epochs 1 --schedule 1"
NO_GPU = "*device_count*) echo 0 ;;"  # said without importing torch


def wrapped(file: Path, *cases: str) -> str:
    """An executable that runs the Python of these tests, but for some `case`s of arguments."""
    lines = ['case "$*" in', *cases, f'*) exec {sys.executable} "$@" ;;', "esac"]
    file.write_text("\n".join(["#!/usr/bin/env bash", *lines, ""]))
    file.chmod(0o755)
    return str(file)


def script(house: Path, command: str, *flags: str, code: int = 0, **environment: str):
    """Run a script, to this exit code, with the Python of the tests.

    It needs no check of packages and sees no GPU.
    """
    here = {"UMURL_PYTHON": wrapped(house / "python_without_gpu", NO_GPU)}
    command, environment = ["bash", *command.split(), *flags], os.environ | here | environment
    done = subprocess.run(command, cwd=house, env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


# What the paper gives each protocol: data set, split, batch size.
RUNS = {
    "ntu60_xsub_seed1": ("ntu60", "cross_subject", 512),
    "ntu60_xview": ("ntu60", "cross_view", 1024),
    "ntu120_xsub": ("ntu120", "cross_subject", 1024),
    "ntu120_xsetup": ("ntu120", "cross_setup", 1024),
    "my_own_name": ("ntu120", "cross_subject", 1024),
}


@pytest.mark.parametrize("name", RUNS)
def test_pretrain_script_starts_each_run_with_its_settings(house, name):
    given = house / "given"
    python = wrapped(house / "python", NO_GPU, f'pretrain.py*) printf "%s\\n" "$@" > {given} ;;')
    script(house, f"script_pretrain.sh {name} --seed 7 --cosine", UMURL_PYTHON=python)
    args = pretrain.parse_args(given.read_text().splitlines()[1:])
    assert (args.pre_dataset, args.protocol, args.batch_size) == RUNS[name]
    assert (args.epochs, args.schedule, args.cosine) == (451, [351], True)
    assert (args.lr, args.wd, args.seed) == (5e-4, 1e-5, 7)
    assert args.checkpoint_path == Path("checkpoints") / name


def test_evaluation_scripts_take_all_from_the_name(house, data_root):
    flags = f"--data-root {data_root} --pre-dataset ntu60 --protocol cross_view --batch-size 16"
    script(house, f"script_pretrain.sh mine {TINY} {flags}")
    for task in ("recognition", "retrieval"):
        script(house, f"script_action_{task}.sh mine")
        results = json.loads((house / "checkpoints" / "mine" / f"{task}.json").read_text())
        assert (results["dataset"], results["protocol"]) == ("ntu60", "cross_view")
        assert results["checkpoint"].endswith("mine/checkpoint_0001.pt")


@pytest.mark.parametrize("task", ["pretrain", "action_recognition", "action_retrieval"])
def test_scripts_want_a_name_first(house, task):
    for flags in ([], ["--epochs", "3"], ["checkpoints/ntu60_xsub"], ["../mine"]):
        done = script(house, f"script_{task}.sh", *flags, code=2)
        assert done.stderr.count("\n") == 1
        assert "TEST_NAME" in done.stderr and not (house / "checkpoints").exists()


@pytest.mark.parametrize(("lines", "code"), [("numpy>=1\n", 0), ("numpy<1.0\n", 1), ("none\n", 1)])
def test_a_python_is_used_if_its_packages_meet_the_requirements(house, lines, code):
    (house / "requirements.txt").write_text(lines)
    here = {"UMURL_PYTHON": "", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = script(house, "script_action_recognition.sh mine --help", code=code, **here)
    assert code == 0 or (done.stderr.count("\n") == 1 and "requirements.txt" in done.stderr)


def test_set_up_makes_a_venv_when_no_python_will_do_adds_to_it_and_only_once(house, tmp_path):
    # A stand-in for python3 that lacks all, and whose venv holds the Python of these tests, once
    # pip was asked for what a file lists; no network.
    log, bin_ = tmp_path / "log", tmp_path / "bin"
    bin_.mkdir()
    inside = wrapped(
        tmp_path / "inside",
        f'*"pip install"*) echo "$@" >> {log}; touch .venv/${{@: -1}} ;;',
        '"- requirements"*) [ -e ".venv/${@: -1}" ] || exit 1 ;;',
        f'*"pytest --version"*|*synthetic.py*) echo "$@" >> {log} ;;',
    )
    made = f'echo "$@" >> {log}; rm -rf .venv; mkdir -p .venv/bin; cp {inside} .venv/bin/python'
    for name in ("python3", "python"):
        wrapped(bin_ / name, f'"-m venv"*) {made} ;;', "*) exit 1 ;;")
    # The demo goes no further than its first command.
    demo = (house / "script_demo.sh").read_text().split("ntu_gendata.py")[0].rsplit("\n", 1)[0]
    (house / "script_demo.sh").write_text(demo + "\n")
    for command in ("script_demo.sh", "script_test.sh --version") * 2:
        script(house, command, PATH=f"{bin_}:/usr/bin:/bin", UMURL_PYTHON="")
    done = [call for call in log.read_text().splitlines() if not call.startswith("- ")]
    assert [call.split()[-1] for call in done] == [
        *(".venv", "requirements.txt", "data/demo/nturgb+d_skeletons"),
        *("requirements-dev.txt", "--version"),
        *("data/demo/nturgb+d_skeletons", "--version"),
    ]


def test_pretraining_starts_a_process_for_each_gpu(house, data_root, tmp_path):
    python = wrapped(tmp_path / "python", "*device_count*) echo 2 ;;")
    flags = ["--data-root", str(data_root), "--batch-size", "12", *TINY.split()]
    environment = {"UMURL_PYTHON": python, "CUDA_VISIBLE_DEVICES": ""}
    done = script(house, "script_pretrain.sh ntu60_xsub", *flags, **environment)
    assert "-m torch.distributed.run --standalone --nproc_per_node 2 pretrain.py" in done.stderr
    assert "2 x cpu" in done.stdout
    assert (house / "checkpoints/ntu60_xsub/checkpoint_0001.pt").exists()


def test_the_demo_ends_with_a_table_of_its_results(house, tmp_path):
    # The demo itself, but with fewer recordings, a smaller network and one epoch.
    python = wrapped(
        tmp_path / "python",
        NO_GPU,
        f'data_gen/synthetic.py*) exec {sys.executable} "$@" --subjects 4 --actions 3 ;;',
        f'pretrain.py*) exec {sys.executable} "$@" {TINY} ;;',
    )
    done = script(house, "script_demo.sh", UMURL_PYTHON=python)
    lines = done.stdout.splitlines()
    top = next(i for i, line in enumerate(lines) if line.endswith("pre-trained"))
    for line, task, figure in (
        (lines[top + 1], "recognition", "top1"),
        (lines[top + 2], "retrieval", "accuracy"),
    ):
        shown = re.fullmatch(rf"{task}, \S+ +(\d+\.\d) % +(\d+\.\d) %", line)
        for value, suffix in zip(shown.groups(), ("_random", ""), strict=True):
            result = json.loads((house / f"checkpoints/demo/{task}{suffix}.json").read_text())
            assert value == f"{result[figure]:.1f}"
    recording = next(word for word in done.stdout.split() if word.endswith(".skeleton"))
    assert (house / recording).exists()
