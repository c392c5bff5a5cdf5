"""Processes that fail or are lost: one line says so, and all of them end within seconds."""

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

GRACE = 3.0  # seconds in which a launcher has stopped the others of a process that died beside it
TURN = 0.5  # seconds from one process's turn to speak to the next one's: a launcher is quicker


@contextmanager
def together(process: Process) -> Iterator[StopSignal]:
    """What the processes do together: where one of them fails or is lost, the others end, too.

    One line says so: that of the process that failed; the launcher's, where it was killed; and for
    a process that was lost on another machine, or a network that does not work, that of the first
    process here to find out. None of them waits for the others on its way out.
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
        atexit.register(_leave)  # first of all that Python does once the error's line was said
        raise


def _leave() -> None:
    """End this process at once; the usual way out would wait for processes that are lost."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


@contextmanager
def _leaving_with_the_others(stop: StopSignal) -> Iterator[None]:
    """End this process where it is told to stop and another one of its launcher is gone already.

    The main thread may then be in a collective that never ends, where Python handles no signal.
    So a thread hears of it through a socket, to which Python's handler in C writes; it grants the
    main thread some seconds to end with a line of its own.
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
        writer.close()  # which ends the thread


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False


def _is_lost_connection(error: Exception) -> bool:
    # gloo raises bare RuntimeErrors that name its source file.
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and "/gloo/" in str(error)
    )


def _tell_in_turn(error: Exception, lost: bool) -> None:
    """Say what went wrong here, unless the launcher stops this process before its turn.

    lost: whether it was the connection to other processes. A fault that all of them found is told
    by the main process, whose turn is before all others.
    """
    mend = connection_errors.mend_of(error) if lost else None
    grace = 0 if mend else GRACE  # without one, another process may tell more
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
