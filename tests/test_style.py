"""The code's style is part of its tests."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("check", [("check",), ("format", "--check")], ids=" ".join)
def test_ruff(check):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *check, "."], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def imports(package: str) -> set[str]:
    """The top-level packages that the modules of a package import."""
    found = set()
    for path in (ROOT / package).rglob("*.py"):
        for line in path.read_text().splitlines():
            if match := re.match(r"\s*(?:from|import) ([A-Za-z_]\w*)", line):
                found.add(match[1])
    return found


def test_imports_go_one_way():
    assert not imports("data_gen") & {"feeder", "net", "tools", "torch"}
    assert not imports("net") & {"feeder", "tools"}
    assert not imports("feeder") & {"net", "tools"}


def test_libraries_import_no_commands():
    commands = {path.stem for path in (ROOT / "tools").glob("*.py")} - {"__init__", "cli"}
    commands |= {path.parent.name for path in (ROOT / "tools").glob("*/__main__.py")}
    names = re.compile(rf"(?:from|import) tools(?:\.| import )({'|'.join(commands)})\b")
    libraries = ("drawing", "evaluation", "formats", "setup", "training")
    for path in (p for name in libraries for p in (ROOT / "tools" / name).rglob("*.py")):
        assert not (found := names.search(path.read_text())), f"{path} imports {found[1]}"
