"""The proposed commands work when they are pasted into the user's shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_gen.preparing import commands
from data_gen.preparing.commands import ROOT, command, evaluation, pretraining

PROGRAMS = {
    "tools/setup/check_test_name.py": ("ntu60_xsubb", "ntu60_xsub", "ntu120_xsub"),
    "tools.setup.check_test_name": ("ntu60_xsubb", "ntu60_xsub", "ntu120_xsub"),
    "script_pretrain.sh": ("",),
}


@pytest.fixture(params=["root", "below", "beside", "a link"])
def here(request, tmp_path, monkeypatch) -> Path:
    """The current folder."""
    (tmp_path / "link").symlink_to(ROOT)
    folders = {"root": ROOT, "below": ROOT / "data_gen", "beside": tmp_path}
    folder = folders.get(request.param, tmp_path / "link")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_kind_of_program_is_started_from_anywhere(here, program):
    line = command(program, *PROGRAMS[program])
    done = subprocess.run(["bash", "-c", line], cwd=here, capture_output=True, text=True)
    wanted = "name the run first" if program.endswith(".sh") else "take ntu60_xsub"
    assert wanted in done.stderr and line.startswith("cd ") == (here.resolve() != ROOT)


def test_paths_mean_the_same_after_the_change_of_folder(here, tmp_path):
    (tmp_path / "it's a folder").mkdir()
    path = Path(os.path.relpath(tmp_path / "it's a folder", here.resolve()))
    line = command("tools/setup/check_test_name.py", path, path)
    line = line.replace(
        "tools/setup/check_test_name.py", "-c 'import os, sys; os.rmdir(sys.argv[1])'"
    )
    subprocess.run(["bash", "-c", line], cwd=here, check=True)
    assert not (tmp_path / "it's a folder").exists()


@pytest.mark.parametrize(
    ("python", "on_path", "script", "module"),
    [
        ("/env/bin/python", "/env/bin/python", "./a.sh", "python -m a"),
        ("/env/bin/python", None, "UMURL_PYTHON=/env/bin/python ./a.sh", "/env/bin/python -m a"),
        (f"{ROOT}/.venv/bin/python", None, "./a.sh", ".venv/bin/python -m a"),
        (
            "/my env/python",
            "/usr/bin/python",
            "UMURL_PYTHON='/my env/python' ./a.sh",
            "'/my env/python' -m a",
        ),
    ],
)
def test_the_python_is_the_one_in_use(monkeypatch, python, on_path, script, module):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "executable", python)
    monkeypatch.setattr(commands.shutil, "which", lambda name: on_path)
    assert (command("a.sh"), command("a")) == (script, module)


def test_a_run_is_named_in_the_house_and_has_a_path_elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    inside = evaluation("recognition", Path("checkpoints") / "mine")
    assert inside.endswith("./script_action_recognition.sh mine")
    deeper = evaluation("retrieval", ROOT / "checkpoints" / "a" / "b")
    assert deeper.endswith("action_retrieval.py --checkpoint-path checkpoints/a/b")
    outside = evaluation("retrieval", tmp_path / "b")
    assert outside.endswith(f"action_retrieval.py --checkpoint-path {tmp_path / 'b'}")


def test_a_store_is_named_by_its_protocol_and_its_place(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    known = pretraining(ROOT / "data" / "ntu120", "cross_setup")
    assert known.endswith("./script_pretrain.sh ntu120_xsetup")
    monkeypatch.chdir(tmp_path)
    other = pretraining(Path("pkummd1"), "cross_view")
    assert other.startswith("cd ") and other.endswith(
        "./script_pretrain.sh pkummd1_xview --pre-dataset pkummd1 --protocol cross_view "
        f"--data-root {tmp_path}"
    )
