"""Command lines to show to the user, which work when pasted into the user's shell."""

import os
import shlex
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHORT = {"cross_subject": "xsub", "cross_view": "xview", "cross_setup": "xsetup"}
RULED = ("ntu60", "ntu120")  # for these data sets script_pretrain.sh knows the names of runs


def command(program: str, *words: str | Path) -> str:
    """A command line that works in the current folder, with the Python that runs now.

    program: the path, in the repository, of a shell script or of a Python file
        (`script_pretrain.sh`, `data_gen/ntu_gendata.py`), or a module (`tools.report`)
    words: the arguments; give a path as Path, since the command starts in the repository
    """
    start = f"./{program}" if program.endswith(".sh") else _python()
    if program.endswith(".sh") and not _found_by_scripts():
        start = f"UMURL_PYTHON={_python()} {start}"
    elif program.endswith(".py"):
        start += f" {program}"
    elif not program.endswith(".sh"):
        start += f" -m {program}"
    arguments = [_from_root(word) if isinstance(word, Path) else word for word in words]
    line = " ".join([start, *map(shlex.quote, arguments)])
    return line if Path.cwd() == ROOT else f"cd {shlex.quote(str(ROOT))} && {line}"


def evaluation(task: str, run: Path) -> str:
    """The command that evaluates a run.

    task: "recognition" or "retrieval"
    run: the folder of the run
    """
    run = run.resolve()
    if run.parent == ROOT / "checkpoints" and not run.name.startswith("-"):
        return command(f"script_action_{task}.sh", run.name)
    entry = {"recognition": "action_classification.py", "retrieval": "action_retrieval.py"}[task]
    return command(entry, "--checkpoint-path", run)


def pretraining(store: Path, protocol: str, *flags: str) -> str:
    """The command that pre-trains on a store.

    store: the folder of the store
    protocol: one of the store's protocols
    flags: further flags of pretrain.py, with their values
    """
    dataset, data_root = store.resolve().name, store.resolve().parent
    words: list[str | Path] = [f"{dataset}_{SHORT.get(protocol, protocol)}"]
    if dataset not in RULED:
        words += ["--pre-dataset", dataset, "--protocol", protocol]
    if data_root != ROOT / "data":
        words += ["--data-root", data_root]
    return command("script_pretrain.sh", *words, *flags)


def _from_root(path: Path) -> str:
    path = path.absolute()
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def _python() -> str:
    for name in ("python", "python3"):
        if (found := shutil.which(name)) and os.path.abspath(found) == sys.executable:
            return name
    return shlex.quote(_from_root(Path(sys.executable)))


def _found_by_scripts() -> bool:
    # The shell scripts look for Python as tools/setup/python.sh does.
    found = shutil.which("python") or shutil.which("python3") or ""
    return sys.executable in (os.path.abspath(found), str(ROOT / ".venv" / "bin" / "python"))
