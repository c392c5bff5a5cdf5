"""What a program proposes to do next works where the user stands, as soon as it is pasted."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import action_classification
import action_retrieval
import pretrain
from data_gen import synthetic
from tests.runs import ROOT, SMALL, call
from tools import convert

# Paths are relative to the current folder, which is not the repository.
NEXT = {
    "pretrain": (pretrain, "--data-root {data} --checkpoint-path mine --epochs 1", *SMALL),
    "recognition": (action_classification, "--checkpoint-path run --epochs 1"),
    "retrieval": (action_retrieval, "--checkpoint-path run"),
    "synthetic": (synthetic, "--out_folder raw --subjects 1 --actions 1 --workers 1"),
    "import": (convert, "import arrays ntu60"),
    "published": (convert, "from-published published mine --num-head 2"),
}
MADE_BEFORE = {
    "import": "to-arrays {data}/ntu60 arrays",
    "published": "to-published run published",
}


@pytest.fixture
def python(tmp_path_factory, monkeypatch) -> Path:
    """A Python that only notes its folder and its words, in the file `told` beside it."""
    file = tmp_path_factory.mktemp("bin") / "python"
    gpus = 'case "$*" in *device_count*) echo 0; exit ;; esac'
    note = f'printf "%s\\n" "$PWD" "$@" > {file.parent}/told'
    file.write_text(f"#!/usr/bin/env bash\n{gpus}\n{note}\n")
    file.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(file))
    return file


@pytest.mark.parametrize("name", NEXT)
def test_it_works_when_it_is_pasted(name, run, data_root, tmp_path, monkeypatch, python):
    assert run == tmp_path / "run"
    monkeypatch.chdir(tmp_path)
    if name in MADE_BEFORE:
        assert call(convert.main, *MADE_BEFORE[name].format(data=data_root).split()).code == 0
    program, flags, *more = NEXT[name]
    done = call(program.main, *flags.format(data=data_root).split(), *more)
    assert done.code == 0, done.err
    kinds = ("next", "or", "curves")
    lines = [line.strip().split(": ", 1) for line in done.out.splitlines() if ": " in line]
    proposed = [line for kind, line in lines if kind in kinds]
    assert len(proposed) == {"pretrain": 3, "published": 2}.get(name, 1)
    for line in proposed:
        subprocess.run(["bash", "-c", line], check=True, capture_output=True)
        folder, *words = (python.parent / "told").read_text().splitlines()
        assert Path(folder) == ROOT
        assert all((ROOT / place).exists() for place in places(words)), line


def places(words: list[str]) -> list[str]:
    """The files and folders that a command reads: its program, and its data."""
    if words[0] == "pretrain.py":
        settings = pretrain.parse_args(words[1:])
        return [os.path.join(settings.data_root, settings.pre_dataset, "joints.npy")]
    program = find_spec(words[1]).origin if words[0] == "-m" else words[0]
    data = [word for word in words[1:] if os.path.isabs(word) and not word.endswith("_store")]
    assert data, "all data of these tests are outside the repository"
    return [program, *data]
