"""README and docs tell the truth: their Python runs, the flags and files that they name exist."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny_store import write_store

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
EXTEND = (ROOT / "docs/extend.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def section(title: str) -> list[str]:
    """The Python of one section of docs/extend.md."""
    part = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", EXTEND, re.DOTALL | re.MULTILINE)
    return blocks(part[1], "python")


@pytest.fixture
def house(tmp_path) -> Path:
    """A copy of the code with a tiny store in data/demo."""
    skip = shutil.ignore_patterns(".*", "data", "checkpoints", "figure", "golden")
    shutil.copytree(ROOT, tmp_path / "house", ignore=skip)
    write_store(tmp_path / "house/data/demo", "ntu60")
    return tmp_path / "house"


def python(house: Path, *arguments: str) -> str:
    """Run Python code in a copy of the repository; return its output."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=house, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def save(house: Path, code: str) -> Path:
    """Write a block to the file in its first line, or append the block to this file."""
    path = house / re.match(r"# (\S+)\n", code)[1]
    with path.open("a") as file:
        file.write(f"\n\n{code}")
    return path


TINY = ("--hidden-size", "16", "--projector-width", "32", "--epochs", "1", "--schedule")
DEMO = ("--data-root", "data/demo", "--pre-dataset", "ntu60", "--batch-size", "16")


def test_the_notebook(house):
    (code,) = section("A notebook")
    accuracies = python(house, "-c", code).splitlines()[-2:]
    assert all(0 <= float(accuracy) <= 100 for accuracy in accuracies)


def test_a_loss_becomes_a_method_with_a_flag(house):
    for code in section("A loss"):
        save(house, code)
    run = ("--checkpoint-path", "checkpoints/x", "--method", "angle", "--angle-weight", "2")
    python(house, "pretrain.py", *DEMO, *TINY, *run)
    shown = python(house, "-m", "tools.checkpoint", "checkpoints/x")
    assert re.search(r"loss/angle +[0-9.]+", shown) and re.search(r"angle_weight +2\b", shown)
    python(house, "action_retrieval.py", "--checkpoint-path", "checkpoints/x")
    assert "UmURL with angles" in python(house, "-m", "tools.results")


def test_an_encoder_and_an_evaluation(house):
    for code in (*section("An encoder"), *section("An evaluation")):
        save(house, code)
    run = ("--checkpoint-path", "checkpoints/x", "--encoder", "average")
    python(house, "pretrain.py", *DEMO, *TINY, *run)
    spread, after = python(house, "-m", "tools.spread", "checkpoints/x").splitlines()
    assert float(spread) > 0 and after.startswith("next: ")


def test_a_data_set_of_17_joints(house):
    (code,) = section("A data set")
    python(house, "-c", code)
    run = ("--checkpoint-path", "checkpoints/x", "--batch-size", "8")
    python(house, "pretrain.py", "--pre-dataset", "gestures", *TINY, *run)
    said = python(house, "action_retrieval.py", "--checkpoint-path", "checkpoints/x")
    assert "My gestures" in said


# ---- flags, files and links


def test_the_files_that_pages_name_are_there():
    for page in PAGES:
        text = page.read_text()
        named = set(
            re.findall(r"`((?:tools|net|feeder|data_gen|tests|docs|figure)/[\w./]*\w)`", text)
        )
        named |= set(re.findall(r"\]\(([^)#:]+)\)", text))
        for name in named - MADE_BY_THE_READER:
            there = [(base / name).exists() for base in (ROOT, page.parent)]
            assert any(there), f"{page.name} names {name}"


MADE_BY_THE_READER = {"net/angle.py", "net/average.py", "tools/spread.py", "data_gen/my_gendata.py"}
COMMANDS = {
    "script_pretrain.sh": "pretrain.py",
    "script_action_recognition.sh": "action_classification.py",
    "script_action_retrieval.sh": "action_retrieval.py",
}


def shell_lines(page: Path) -> list[str]:
    """The lines of a page's shell commands and short code, without comments."""
    text = page.read_text()
    found = blocks(text, "bash") + re.findall(r"`([^`\n]+)`", text)
    lines = (line for block in found for line in block.replace("\\\n", " ").splitlines())
    return [line.split("#")[0] for line in lines]


def test_commands_change_no_folder():
    """Each works after any other."""
    for page in PAGES:
        for line in shell_lines(page):
            assert not re.match(r"\s*cd ", line), f"{page.name}: {line}"


def commands() -> list[tuple[str, tuple[str, ...], set[str]]]:
    """(page, command, flags) of all commands in the docs."""
    found = []
    for page in PAGES:
        for line in shell_lines(page):
            script = re.search(r"(?:\./|bash )(script_\w+\.sh)", line)
            module = re.search(r"python -m (tools\.\w+(?: (?:import|map|from-\w+|to-\w+))?)", line)
            file = re.search(r"\b(pretrain|action_\w+|(?:data_gen/)?\w+_gendata)\.py", line)
            flags = set(re.findall(r"(?<!\S)--[a-z][\w-]*", line))
            if script and script[1] in COMMANDS:
                found.append((page.name, (COMMANDS[script[1]],), flags))
            elif module and "launch" not in line and module[1] not in ("tools.spread",):
                found.append((page.name, ("-m", *module[1].split()), flags))
            elif file and "launch" not in line and "my_gendata" not in line:
                name = (
                    file[0] if "/" in file[0] or "gendata" not in file[0] else f"data_gen/{file[0]}"
                )
                found.append((page.name, (name,), flags))
    return found


def test_the_flags_that_pages_name_exist():
    wanted: dict[tuple[str, ...], dict[str, str]] = {}
    for page, command, flags in commands():
        wanted.setdefault(command, {}).update(dict.fromkeys(flags, page))
    assert len(wanted) > 3
    for command, flags in wanted.items():
        known = python(ROOT, *command, "--help")
        for flag, page in flags.items():
            mine = flag == "--angle-weight"
            assert mine or re.search(rf"{flag}\b", known), f"{page}: {' '.join(command)} {flag}"
