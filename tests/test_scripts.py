"""The shell scripts from end to end on a tiny store, and the set-up that they share."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
TINY = "--hidden-size 16 --projector-width 32 --epochs 1 --schedule 1"


@pytest.fixture
def house(tmp_path) -> Path:
    """A copy of the code, so that scripts write their checkpoints there."""
    house = tmp_path / "house"
    skip = shutil.ignore_patterns(".git", ".venv", "data", "checkpoints", "tests", ".*_cache")
    shutil.copytree(ROOT, house, ignore=skip)
    return house


def script(house: Path, command: str, *flags: str, **environment: str):
    """Run a script with the Python that runs the tests, which needs no check."""
    here = {"UMURL_PYTHON": sys.executable}
    return subprocess.run(
        ["bash", *command.split(), *flags],
        cwd=house,
        env=os.environ | here | environment,
        capture_output=True,
        text=True,
    )


# What METHOD and the paper give each protocol: data set, split, batch size.
RUNS = {
    "ntu60_xsub": ("ntu60", "cross_subject", 512),
    "ntu60_xview": ("ntu60", "cross_view", 1024),
    "ntu120_xsub": ("ntu120", "cross_subject", 1024),
    "ntu120_xsetup": ("ntu120", "cross_setup", 1024),
    "my_own_name": ("ntu120", "cross_subject", 1024),
}


@pytest.mark.parametrize("name", RUNS)
def test_pretrain_script_starts_each_run_with_its_settings(house, data_root, name):
    dataset, protocol, batch_size = RUNS[name]
    done = script(house, f"script_pretrain.sh {name}", "--data-root", str(data_root), *TINY.split())
    assert done.returncode == 0, done.stderr
    saved = torch.load(house / "checkpoints" / name / "checkpoint_0001.pt", weights_only=True)
    settings = saved["settings"]
    assert (settings["pre_dataset"], settings["protocol"]) == (dataset, protocol)
    assert settings["batch_size"] == batch_size
    assert (settings["lr"], settings["wd"]) == (5e-4, 1e-5)
    # Epochs and schedule are appended to be tiny; the full ones stand before them.
    assert "--epochs 451 --schedule 351" in done.stderr
    assert f"checkpoints/{name}" in done.stdout


def test_evaluation_scripts_take_all_from_the_name(house, data_root):
    flags = ["--data-root", str(data_root), "--pre-dataset", "ntu60", "--protocol", "cross_view"]
    flags += ["--batch-size", "16", "--num-head", "2"]
    done = script(house, "script_pretrain.sh mine", *flags, *TINY.split())
    assert done.returncode == 0, done.stderr
    for task in ("recognition", "retrieval"):
        done = script(house, f"script_action_{task}.sh mine")
        assert done.returncode == 0, done.stderr
        results = json.loads((house / "checkpoints" / "mine" / f"{task}.json").read_text())
        assert (results["dataset"], results["protocol"]) == ("ntu60", "cross_view")
        assert results["checkpoint"].endswith("mine/checkpoint_0001.pt")


@pytest.mark.parametrize("task", ["pretrain", "action_recognition", "action_retrieval"])
def test_scripts_want_a_name_first(house, task):
    for flags in ([], ["--epochs", "3"]):
        done = script(house, f"script_{task}.sh", *flags)
        assert done.returncode == 2
        assert done.stderr.startswith("error: name the run first")
        assert not (house / "checkpoints").exists()


@pytest.mark.parametrize("task", ["pretrain", "action_recognition", "action_retrieval"])
@pytest.mark.parametrize("name", ["checkpoints/ntu60_xsub", "/data/ntu60_xsub/", "../ntu60_xsub"])
def test_a_name_with_a_path_in_it_is_refused_with_the_name_alone(house, task, name):
    done = script(house, f"script_{task}.sh", name)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert name in done.stderr and done.stderr.endswith(f"script_{task}.sh ntu60_xsub\n")
    assert not (house / "checkpoints").exists()


@pytest.mark.parametrize(
    ("name", "near"),
    {
        "ntu60_xsubb": "ntu60_xsub",
        "NTU60-XView": "ntu60_xview",
        "ntu120_xset": "ntu120_xsetup",
        "ntu60_xsub_seed1": "ntu60_xsub",
    }.items(),
)
def test_a_name_near_a_protocols_is_refused_unless_the_data_set_is_named(
    house, data_root, name, near
):
    flags = ["--data-root", str(data_root), "--epochs", "0"]
    done = script(house, "script_pretrain.sh", name, *flags)
    assert done.returncode == 1 and done.stderr.startswith("error: ")
    assert name in done.stderr and f"take {near}," in done.stderr
    assert done.stderr.count("\n") == 1 and done.stdout == ""
    for named in (["--pre-dataset", "ntu60"], ["--pre-dataset=ntu60"]):
        done = script(house, "script_pretrain.sh", name, *flags, *named)
        assert "argument --epochs" in done.stderr and done.stdout == ""


def test_another_name_says_first_what_it_takes(house):
    taken = "NTU-120 x-sub"
    for name, said in (("mine", taken), ("ntu120_xsub_2", taken), ("ntu60_xsub", "")):
        done = script(house, "script_pretrain.sh", name, "--epochs", "0")
        assert "argument --epochs" in done.stderr  # it has begun
        assert done.stdout.count("\n") == bool(said) and said in done.stdout


def test_a_python_that_lacks_something_is_named_and_not_used(house):
    (house / "requirements.txt").write_text("torch>=2.4\nno-such-package>=1\n")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = script(house, "script_action_recognition.sh mine", UMURL_PYTHON="", PATH=path)
    assert done.returncode == 1
    assert "no-such-package is not installed" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_requirements_are_held_against_versions(house):
    check = [sys.executable, "tools/setup/requirements.py"]
    assert subprocess.run(check, cwd=house).returncode == 0
    (house / "requirements.txt").write_text("numpy<1.0\n")
    done = subprocess.run(check, cwd=house, capture_output=True, text=True)
    assert done.returncode == 1
    assert "is not <1.0" in done.stderr


def test_set_up_makes_a_venv_when_no_python_will_do_and_only_once(house, tmp_path):
    # A stand-in for python3 whose venv holds the Python of these tests, and no network.
    log, bin_ = tmp_path / "log", tmp_path / "bin"
    bin_.mkdir()
    fake = bin_ / "python3"
    fake.write_text(
        f"""#!/usr/bin/env bash
echo "$@" >> {log}
case "$*" in
    "-m venv"*)
        mkdir -p .venv/bin
        printf '#!/usr/bin/env bash\\necho "$@" >> {log}\\n' > .venv/bin/python
        printf 'case "$*" in *pip*) ;; *) exec {sys.executable} "$@" ;; esac\\n' >> .venv/bin/python
        chmod +x .venv/bin/python ;;
    *) echo "No module named 'torch'"; exit 1 ;;
esac
"""
    )
    fake.chmod(0o755)
    shutil.copy(fake, bin_ / "python")
    path = f"{bin_}:/usr/bin:/bin"
    for _ in range(2):
        done = script(house, "script_test.sh", "--version", PATH=path, UMURL_PYTHON="")
        assert done.returncode == 0, done.stderr
    calls = log.read_text().splitlines()
    assert sum("-m venv" in call for call in calls) == 1
    assert sum("pip install" in call for call in calls) == 1
    assert sum("pytest --version" in call for call in calls) == 2
