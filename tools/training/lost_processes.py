"""A process fails or is lost: one line says so, and all processes end within seconds."""

import atexit
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch.distributed as dist

from feeder.store import StoreError
from tools import cli
from tools.cli import UserError
from tools.training import connection_errors
from tools.training.distributed import Process, StopSignal

GRACE = 3.0  # seconds; by then a launcher has stopped the other processes of one that died
TURN = 0.5  # seconds after which the next process may print its line


@contextmanager
def together(process: Process) -> Iterator[StopSignal]:
    """A context in which the processes work together: if one fails or is lost, all end.

    Exactly one line says why. It comes from the process that failed; from the launcher, if the
    process was killed; or, if a process was lost on another machine or the network fails, from the
    first process here that notices. No process waits for the others when it ends.
    """
    stop = StopSignal(process)
    stop.listen()
    if process.world_size == 1:
        yield stop
        return
    try:
        with _leaving_with_the_others(stop):
            yield stop
    except Exception as error:
        lost = _is_lost_connection(error)
        silent = isinstance(error, UserError | StoreError) and not process.is_main
        if lost or silent:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            if not stop.asked:
                _tell_in_turn(error, lost)
        if lost:
            _leave()
        atexit.register(_leave)  # Python calls this first after it printed the error
        raise


def _leave() -> None:
    """End this process at once. The usual end would wait for the lost processes."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


@contextmanager
def _leaving_with_the_others(stop: StopSignal) -> Iterator[None]:
    """End this process when it is told to stop and another process of its launcher is already gone.

    The main thread may be in a collective that never ends, and Python handles no signal meanwhile.
    So a thread waits for signals at a socket, to which Python's handler in C writes. The thread
    gives the main thread some seconds to end with its own line.
    """
    mine = (os.uname().nodename, os.getppid(), os.getpid())
    everyone: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(everyone, mine)
    beside = [pid for *launcher, pid in everyone if tuple(launcher) == mine[:2]]
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    ended = threading.Event()

    def watch() -> None:
        while (told := reader.recv(1)) and told[0] != signal.SIGTERM:
            pass
        while told and not (stop.seen or ended.is_set()):
            if any(map(_is_gone, beside)) and not ended.wait(GRACE):
                _leave()
            time.sleep(TURN)

    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        ended.set()
        writer.close()  # this ends the thread


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False


def _is_lost_connection(error: Exception) -> bool:
    # gloo raises plain RuntimeErrors, whose text names a source file of gloo.
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and "/gloo/" in str(error)
    )


def _tell_in_turn(error: Exception, lost: bool) -> None:
    """Print what went wrong, unless the launcher stops this process before its turn.

    lost: whether the connection to other processes was lost. A fault that all processes found is
        printed by the main process, which comes first.
    """
    mend = connection_errors.mend_of(error) if lost else None
    grace = 0 if mend else GRACE  # without advice, another process may know more
    time.sleep(grace + TURN * int(os.environ.get("LOCAL_RANK", 0)))
    if lost:
        cli.complain(
            f"another process of this run was lost: {connection_errors.reason_of(error)}; "
            f"{mend or 'if it failed, its own line tells why'}; "
            "the same command goes on from the newest checkpoint",
            by_all=True,
        )
    else:
        cli.complain(str(error), by_all=True)
