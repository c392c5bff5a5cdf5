"""Ctrl-C while a program is still importing torch ends it without a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_help import ROOT

# Imports take seconds, in which a user may think better of it: this one is never over.
TORCH = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n"
PROGRAMS = {
    "pretrain.py": [],
    "action_classification.py": ["--checkpoint-path", "x"],
    "action_retrieval.py": ["--checkpoint-path", "x"],
    "tools.benchmark": [],
    "tools.checkpoint": ["x"],
    "tools.complexity": [],
    "tools.convert": ["from-published", "x", "y"],
    "tools.export": ["--checkpoint-path", "x", "--out", "a.pt2"],
    "tools.launch": ["pretrain.py"],
    "tools.predict": [],
    "tools.tsne": ["--checkpoint", "x"],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_ctrl_c_while_importing_is_no_traceback(tmp_path, name):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(TORCH)
    start = [str(ROOT / name)] if name.endswith(".py") else ["-m", name]
    done = subprocess.run(
        [sys.executable, *start, *PROGRAMS[name]],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 130
    assert "Traceback" not in done.stderr and done.stderr.count("\n") <= 1
    assert [path.name for path in Path(tmp_path).iterdir()] == ["torch"]
