"""README and docs tell the truth: examples run; files and flags that they name exist."""

import contextlib
import io
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from tests.tiny_store import write_store

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TINY = (
    "--hidden-size 16 --projector-width 32 --batch-size 8 --epochs 1 --monitor-every 0 --workers 0"
)
# The commands whose flags the pages name.
SCRIPTS = {
    "script_pretrain.sh": "pretrain",
    "script_action_recognition.sh": "action_classification",
    "script_action_retrieval.sh": "action_retrieval",
}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_changes_of_extend_run(house):
    write_store(house / "data/demo", "ntu60")
    text = (ROOT / "docs/extend.md").read_text()
    for block in blocks(text, "python"):
        (house / re.match(r"# (\S+)\n", block)[1]).write_text(block)
    for block in blocks(text, "diff"):
        name, hunks = re.match(r"# (\S+)\n(.*)", block, re.DOTALL).groups()
        for hunk in hunks.split("@@\n"):
            lines, code = hunk.splitlines(True), (house / name).read_text()
            before = "".join(line[1:] for line in lines if line[0] in " -")
            after = "".join(line[1:] for line in lines if line[0] in " +")
            assert code.count(before) == 1, f"{name}: {before}"
            (house / name).write_text(code.replace(before, after))
    environment = os.environ | {"PYTHONPATH": str(house), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "tests.test_docs"]
    subprocess.run(command, cwd=house, env=environment, check=True)


def run_examples() -> None:
    """Run what docs/extend.md adds; the current folder is the changed copy of the code."""
    import action_retrieval
    import pretrain
    from tools.training import checkpoint

    def train(name: str, flags: str) -> dict:
        folder = Path("checkpoints") / name
        pretrain.main([*f"{TINY} --checkpoint-path {folder} {flags}".split(), "--schedule"])
        return checkpoint.load(checkpoint.newest(folder))

    demo = "--data-root data/demo --pre-dataset ntu60"
    saved = train("umurl", f"{demo} --linear --angle-weight 2 --crop-power 2")
    assert saved["settings"]["angle_weight"] == 2 and saved["settings"]["crop_power"] == 2
    assert saved["settings"]["linear"] and 0 < saved["metrics"]["train/learning_rate"] < 5e-4
    assert 0 < saved["metrics"]["loss/angle"] < 2

    saved = train("simsiam", f"{demo} --method simsiam --encoder average")
    assert -1 <= saved["metrics"]["loss/agreement"] <= 1
    assert "encoder.embed.0.weight" in saved["model"]
    action_retrieval.main(["--checkpoint-path", "checkpoints/simsiam"])
    assert Path("checkpoints/simsiam/retrieval.json").exists()

    runpy.run_module("data_gen.my_gendata")
    saved = train("gestures", "--pre-dataset gestures")
    assert saved["data"]["training clips"] == 12 and saved["layout"]["bodies"] == 1

    with contextlib.redirect_stdout(io.StringIO()) as said:
        runpy.run_path("spread.py")
    assert 0 <= float(said.getvalue().split()[-1]) <= 1


def test_the_files_that_pages_name_exist():
    new = set(re.findall(r"^# (\S+\.py)$", (ROOT / "docs/extend.md").read_text(), re.MULTILINE))
    folders = "tools|net|feeder|data_gen|tests|docs|figure"
    for page in PAGES:
        text = page.read_text()
        named = set(re.findall(rf"`((?:{folders})/[\w./]*\w|\w+\.(?:py|sh))`", text)) - new
        named |= set(re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text))
        for name in named:
            there = [(base / name).exists() for base in (ROOT, page.parent)]
            assert any(there), f"{page.name} names {name}"


def test_figures_are_shown():
    shown = {name for page in PAGES for name in re.findall(r"figure/(\w+\.png)", page.read_text())}
    assert shown == {path.name for path in (ROOT / "figure").glob("*.png")}


def shell_lines(page: Path) -> list[str]:
    """The lines of a page's shell commands and short code, without comments."""
    text = page.read_text()
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    code = "\n".join(blocks(text, "bash") + re.findall(r"`([^`]+)`", prose))
    return [line.split("#")[0] for line in code.replace("\\\n", " ").splitlines()]


def commands() -> dict[str, dict[str, str]]:
    """{command: {flag: page that names it}} of all commands in the pages."""
    found = {}
    for page in PAGES:
        for line in shell_lines(page):
            script = re.search(r"\b(script_\w+\.sh|pretrain\.sbatch)", line)
            module = re.search(r"-m (tools\.\w+(?: (?:import|map|from-\w+|to-\w+)\b)?)", line)
            file = re.search(r"\b(pretrain|action_\w+|data_gen/\w+)\.py", line)
            name = module or file
            name = name[1].replace("/", ".") if name else SCRIPTS.get(script[1] if script else "")
            if name and name != "data_gen.my_gendata":
                flags = re.findall(r"(?<!\S)--[a-z][\w-]*", line.split(".py", 1)[-1])
                found.setdefault(name, {}).update(dict.fromkeys(flags, page.name))
    return found


@pytest.mark.parametrize("name", sorted(commands()))
def test_the_flags_that_pages_name_exist(name):
    said = io.StringIO()
    with (
        mock.patch.object(sys, "argv", [*name.split(), "--help"]),
        contextlib.redirect_stdout(said),
        contextlib.suppress(SystemExit),
    ):
        runpy.run_module(name.split()[0], run_name="__main__")
    if name == "tools.ablation":  # it passes other flags on to pretrain.py
        said.write((ROOT / "pretrain.py").read_text())
    for flag, page in commands()[name].items():
        assert re.search(rf"{flag}\b", said.getvalue()), f"{page}: {name} {flag}"


if __name__ == "__main__":
    run_examples()
