"""What to do next, as commands that work when they are pasted where the user stands."""

import os
import shlex
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHORT = {"cross_subject": "xsub", "cross_view": "xview", "cross_setup": "xsetup"}
RULED = ("ntu60", "ntu120")  # data sets of which script_pretrain.sh knows the runs by their name


def command(program: str, *words: str | Path) -> str:
    """A command line for the current folder and the Python that runs this.

    program: a script (`script_pretrain.sh`), an entry script (`data_gen/ntu_gendata.py`), each by
    its path in the repository, or a module (`tools.report`); words: its arguments, those that are
    paths as Path, since a script or a module is to be started from the repository.
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
    """The command that evaluates a run, given its folder; task: recognition or retrieval."""
    run = run.resolve()
    if run.parent == ROOT / "checkpoints" and not run.name.startswith("-"):
        return command(f"script_action_{task}.sh", run.name)
    entry = {"recognition": "action_classification.py", "retrieval": "action_retrieval.py"}[task]
    return command(entry, "--checkpoint-path", run)


def pretraining(store: Path, protocol: str, *flags: str) -> str:
    """The command that pre-trains on a store, given its folder, under a protocol, with flags."""
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
    # They look where tools/setup/python.sh says.
    found = shutil.which("python") or shutil.which("python3") or ""
    return sys.executable in (os.path.abspath(found), str(ROOT / ".venv" / "bin" / "python"))
