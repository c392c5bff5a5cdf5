"""Run entry scripts in tests: in this process, or in a process that the test can kill."""

import atexit
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import common

ROOT = Path(__file__).parents[1]
# A model and steps so small that a run takes a second.
SMALL = [
    *("--pre-dataset", "ntu60", "--hidden-size", "8", "--projector-width", "16"),
    *("--batch-size", "12", "--schedule", "2", "--workers", "0"),
    *("--save-every", "1", "--print-freq", "1", "--monitor-every", "0"),
]


class Outcome(NamedTuple):
    """How a run ended: its exit code and its output."""

    code: int
    out: str
    err: str


def pretraining(data_root: Path, folder: Path, *flags: object) -> list[str]:
    """Flags for a small run of pretrain.py. Of a flag that occurs twice the later counts."""
    where = ["--data-root", str(data_root), "--checkpoint-path", str(folder)]
    return [*where, *SMALL, *map(str, flags)]


def call(main: Callable[[], None], *flags: object, environment: dict | None = None) -> Outcome:
    """Run a command's main as the entry script does, on the CPU, in this process."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    argv = [Path(sys.modules[main.__module__].__file__).name, *map(str, flags)]
    handled = (signal.SIGTERM, signal.SIGINT)
    handlers, hook = [signal.getsignal(number) for number in handled], threading.excepthook
    with (
        mock.patch.object(sys, "argv", argv),
        mock.patch.dict(os.environ, environment or {}),
        mock.patch("torch.cuda.is_available", return_value=False),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            common.run(main)
        except SystemExit as exit:
            code = exit.code
        finally:
            for number, handler in zip(handled, handlers, strict=True):
                signal.signal(number, handler)
            threading.excepthook = hook
    return Outcome(code, out.getvalue(), err.getvalue())


class Child:
    """A run of pretrain.py in its own process."""

    def __init__(self, server: subprocess.Popen, folder: Path, flags: list[str]):
        self._server, self._folder = server, folder
        server.stdin.write(json.dumps({"flags": flags, "folder": str(folder)}) + "\n")
        server.stdin.flush()
        self._ended: int | None = None
        self.pid = int(server.stdout.readline())

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the process. Its id is valid until `wait` has returned."""
        os.kill(self.pid, number)

    def ended(self) -> bool:
        """Whether the process has ended, before `wait` was called."""
        return Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"

    def wait(self) -> Outcome:
        """Wait for the end: exit code (negative: the signal that ended the process) and output."""
        self._server.stdin.write("\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        return Outcome(code, *((self._folder / n).read_text() for n in ("stdout", "stderr")))


@contextlib.contextmanager
def server() -> Iterator[Callable[[Path, list[str]], Child]]:
    """Yield a function that starts runs of pretrain.py, one at a time, without the time of imports.

    The function takes a folder for the output of the run, and the flags of the run.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.runs"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield lambda folder, flags: Child(process, folder, flags)
        process.stdin.close()


def serve() -> None:
    """For each line of standard input fork a child, print its id, and later its exit code."""
    import pretrain
    from tools.training.checkpoint import code_facts

    code_facts()  # calls git, once for all children
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            for name, descriptor in (("stdout", 1), ("stderr", 2)):
                file = os.open(Path(request["folder"], name), os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
                os.dup2(file, descriptor)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            sys.argv = ["pretrain.py", *request["flags"]]
            _run_and_exit(pretrain.main)
        print(pid, flush=True)
        sys.stdin.readline()
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    os._exit(0)


def _run_and_exit(main: Callable[[], None]) -> None:
    # A normal exit takes a second, in which Python frees everything in torch.
    code = 0
    try:
        common.run(main)
    except SystemExit as ended:
        code = ended.code
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    serve()
