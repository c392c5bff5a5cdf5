"""The code's style is part of its tests."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
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
    assert not imports("net") & {"data_gen", "tools"}
    assert not imports("feeder") & {"data_gen", "tools"}
    assert not imports("data_gen") & {"net", "tools"}


# What is named otherwise than it is imported, comes with another package, or is optional.
PACKAGES = {"sklearn": "scikit-learn", "PIL": "matplotlib"}
OPTIONAL = {"onnx", "onnxscript", "onnxruntime"}


def packages(files: Iterable[Path]) -> set[str]:
    """The packages of other authors that some files import."""
    ours = {path.stem for path in ROOT.iterdir()}
    found = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.partition(".")[0])
    return {PACKAGES.get(name, name) for name in found - ours - sys.stdlib_module_names}


def requirements(file: Path) -> list[str]:
    """The lines of a file of requirements and of the files that it includes."""
    lines = file.read_text().splitlines()
    included = [
        line
        for other in lines
        if other.startswith("-r ")
        for line in requirements(file.parent / other[3:])
    ]
    return included + [line for line in lines if not line.startswith("-r ")]


def test_requirements_are_what_is_imported():
    needed, more = (
        {re.match(r"[\w-]+", line)[0] for line in requirements(ROOT / file)}
        for file in ("requirements.txt", "requirements-dev.txt")
    )
    folders = (ROOT / name for name in ("data_gen", "feeder", "net", "tools"))
    code = [*ROOT.glob("*.py"), *(path for folder in folders for path in folder.rglob("*.py"))]
    assert packages(code) - OPTIONAL == needed
    assert packages((ROOT / "tests").rglob("*.py")) | OPTIONAL | {"ruff"} <= more
