"""The --help of every program: under its name, without noise."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def programs() -> list[str]:
    """All programs: scripts by their paths, modules by their names."""
    files = [*ROOT.glob("*.py"), *ROOT.glob("data_gen/*.py"), *ROOT.glob("tools/*.py")]
    files = [path for path in files if '\nif __name__ == "__main__":' in path.read_text()]
    files += ROOT.glob("tools/*/__main__.py")
    names = []
    for path in sorted(path.relative_to(ROOT) for path in files):
        module = ".".join(path.with_suffix("").parts).removesuffix(".__main__")
        names.append(module if path.parts[0] == "tools" else str(path))
    return names


@pytest.mark.parametrize("name", programs())
def test_help_names_the_program_and_its_defaults(name):
    run = [name] if name.endswith(".py") else ["-m", name]
    done = subprocess.run(
        [sys.executable, *run, "--help"],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    shown = Path(name).name if name.endswith(".py") else f"python -m {name}"
    assert done.stdout.startswith(f"usage: {shown} [-h]")
    for noise in ("None", "Path(", "<", "__main__", "[]"):
        assert noise not in done.stdout
    assert not re.search(r"\(default: [\[(]", done.stdout)


def test_the_programs_are_found():
    assert {"pretrain.py", "data_gen/ntu_gendata.py", "tools.report"} <= set(programs())
