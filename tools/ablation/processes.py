"""The runs of an ablation, each in a process of its own; on a CPU a process has one thread."""

import contextlib
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

from data_gen.preparing.parallel import end_with_parent
from feeder.store import StoreError
from tools.ablation.plan import LOG, RESULT, Run
from tools.cli import UserError

PATIENCE = 60.0  # seconds in which a run that is told to stop saves its checkpoint


def perform_all(runs: Sequence[Run], jobs: int, ended: Callable[[Run, str | None], None]) -> None:
    """Do some runs, `jobs` of them at once.

    A run that takes the encoders of other runs waits for them. If one of them fails, it fails, too.
    An interruption stops all runs; each saves a checkpoint first.

    ended: is called after each run, with the run and why it failed; None: it did not fail.
    """
    waiting, running = list(runs), dict[int, tuple[BaseProcess, Run]]()
    context = get_context("forkserver")
    context.set_forkserver_preload(["tools.ablation.running"])  # imports torch once for all runs
    try:
        while waiting or running:
            for run in [run for run in waiting if _is_ready(run)][: jobs - len(running)]:
                waiting.remove(run)
                process = context.Process(target=_work, args=(run,))
                process.start()
                running[process.sentinel] = (process, run)
            for sentinel in wait(list(running)) if running else []:
                process, run = running.pop(sentinel)
                process.join()
                ended(run, None if run.result.exists() else _reason(run, process))
            if not running and not any(map(_is_ready, waiting)):
                break
    finally:
        _stop([process for process, _ in running.values()])
    for run in waiting:
        ended(run, "a run whose encoder it takes failed")


def _is_ready(run: Run) -> bool:
    return all((folder / RESULT).exists() for folder in run.encoders)


def _stop(processes: Sequence[BaseProcess]) -> None:
    """Tell processes to stop, and kill those that do not."""
    for process in processes:
        process.terminate()
    try:
        for process in processes:
            process.join(PATIENCE)
    finally:
        for process in processes:
            process.kill()


def _reason(run: Run, process: BaseProcess) -> str:
    log = run.folder / LOG
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    how = lines[-1].removeprefix("error: ") if process.exitcode == 1 and lines else None
    return f"{how or f'it ended with code {process.exitcode}'} ({log})"


def _work(run: Run) -> None:
    """Do a run in this process, which is its own; what it prints goes to its log."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent sends SIGTERM instead
    end_with_parent()
    run.folder.mkdir(parents=True, exist_ok=True)
    with (
        (run.folder / LOG).open("a", buffering=1, encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        code = _code_of(run)
    sys.exit(code)


def _code_of(run: Run) -> int:
    import torch

    from tools.ablation.running import perform
    from tools.training.distributed import Process, StopSignal

    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    stop = StopSignal(Process(0, 1, torch.device("cpu")))
    stop.listen()
    try:
        return 0 if perform(run, stop) else 128 + stop.number
    except (UserError, StoreError, OSError) as error:
        print(f"error: {error}")
    except Exception:
        traceback.print_exc()
    return 1
