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


def imports(files: Iterable[Path]) -> set[str]:
    """The top-level packages that some files import."""
    found = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize(
    ("package", "above"),
    [
        ("net", {"data_gen", "tools"}),
        ("feeder", {"data_gen", "tools"}),
        ("data_gen", {"net", "tools"}),
    ],
)
def test_imports_go_one_way(package, above):
    entry_scripts = {path.stem for path in ROOT.glob("*.py")} - {"common"}
    assert not imports((ROOT / package).rglob("*.py")) & (above | entry_scripts)


# What is named otherwise than it is imported, comes with another package, or is optional.
PACKAGES = {"sklearn": "scikit-learn", "PIL": "matplotlib"}
OPTIONAL = {"onnx", "onnxscript", "onnxruntime"}


def packages(files: Iterable[Path]) -> set[str]:
    """The packages of other authors that some files import."""
    ours = {path.stem for path in ROOT.iterdir()}
    return {PACKAGES.get(name, name) for name in imports(files) - ours - sys.stdlib_module_names}


def requirements(file: Path) -> set[str]:
    """The packages in a file of requirements and in the files that it includes."""
    found = set()
    for line in file.read_text().splitlines():
        if line.startswith("-r "):
            found |= requirements(file.parent / line[3:])
        else:
            found.add(re.match(r"[\w-]+", line)[0])
    return found


def test_requirements_are_what_is_imported():
    folders = (ROOT / name for name in ("data_gen", "feeder", "net", "tools"))
    code = [*ROOT.glob("*.py"), *(path for folder in folders for path in folder.rglob("*.py"))]
    assert packages(code) - OPTIONAL == requirements(ROOT / "requirements.txt")
    tested = packages((ROOT / "tests").rglob("*.py")) | OPTIONAL | {"ruff"}
    assert tested <= requirements(ROOT / "requirements-dev.txt")
