"""The code's style is part of its tests."""

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("check", ["check", "format --check"])
def test_ruff(check):
    command = [sys.executable, "-m", "ruff", *check.split(), ROOT]
    assert subprocess.run(command).returncode == 0


def imports(files: Iterable[Path]) -> set[str]:
    """The top-level packages that some files import, by their names in requirements.txt."""
    pattern = re.compile(r"^\s*(?:import|from) (\w+)[\w.]*(?: import| as|$)", re.MULTILINE)
    names = {name for path in files for name in pattern.findall(path.read_text())}
    names -= {"PIL"}  # comes with matplotlib
    return {"scikit-learn" if name == "sklearn" else name for name in names}


ABOVE = {"net": {"data_gen"}, "feeder": {"data_gen"}, "data_gen": {"net"}}


@pytest.mark.parametrize(("package", "above"), ABOVE.items())
def test_imports_go_one_way(package, above):
    entry_scripts = {path.stem for path in ROOT.glob("*.py")} - {"common"}
    assert not imports((ROOT / package).rglob("*.py")) & (above | {"tools"} | entry_scripts)


def test_requirements_are_what_is_imported():
    code = [
        *ROOT.glob("*.py"),
        *(p for name in ("tools", *ABOVE) for p in (ROOT / name).rglob("*.py")),
    ]
    optional, ours = {"onnx", "onnxscript", "onnxruntime"}, {path.stem for path in ROOT.iterdir()}
    found = imports(code) - ours - sys.stdlib_module_names - optional
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert found == {re.match(r"[\w-]+", line)[0] for line in lines}
    more = (ROOT / "requirements-dev.txt").read_text().splitlines()
    tested = imports((ROOT / "tests").rglob("*.py")) - ours - sys.stdlib_module_names
    assert tested <= found | {re.match(r"[\w-]+", line)[0] for line in more}
