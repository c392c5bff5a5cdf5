"""A process that fails ends all of them within seconds, with one line that tells why."""

import signal
import time

import pytest
import torch

from tests.failing_rank import NCCL
from tests.test_pretrain_ranks import ended, launch
from tools.cli import UserError
from tools.training import connection_errors, lost_processes
from tools.training.distributed import Process

LAUNCHER = 30  # seconds until torchrun kills a process that it told to stop
ALONE = Process(0, 1, torch.device("cpu"))


FAILURES = [
    # which of two processes fails, how, the launcher's exit code, and what its line tells
    (0, "error", 1, "error: no space left"),
    (1, "error", 1, "error: no space left"),
    (1, "kill", 128 + signal.SIGKILL, "was ended by SIGKILL"),
    ("all", "collective", 1, "NCCL_SOCKET_IFNAME"),
]


@pytest.fixture(scope="module")
def failures():
    """The launchers of all failures, started together, since most of what they do is to wait."""
    command = ("tools.launch", "--standalone", "--nproc_per_node", 2, "-m", "tests.failing_rank")
    return [launch(*command, who, how) for who, how, *_ in FAILURES]


@pytest.mark.parametrize("number", range(len(FAILURES)))
def test_a_process_that_fails_ends_all_with_one_line(failures, number):
    *_, code, told = FAILURES[number]
    result, out, err = ended(failures[number])
    assert time.time() - float(out.split()[0]) < LAUNCHER
    assert result == code, err
    (line,) = err.splitlines()
    assert line.startswith("error: ") and told in line


def test_one_process_alone_passes_its_errors_on():
    for error in (RuntimeError("shape mismatch"), ValueError("no"), UserError("typo")):
        with pytest.raises(type(error)), lost_processes.together(ALONE):
            raise error


@pytest.mark.parametrize(
    ("message", "reason", "mend"),
    [
        (NCCL, "socketPollConnect: connect to 10.0.0.7<39017> returned No route", "SOCKET_IFNAME"),
        (
            "NCCL error in: x.cpp:317, unhandled system error, NCCL version 2.20.5\n"
            "ncclSystemError: System call failed.\nLast error:\n"
            "Error while creating shared memory segment /dev/shm/nccl-4Tl7k3 (size 9637888)",
            "Error while creating shared memory segment",
            "--shm-size",
        ),
        (
            "[Rank 1] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=7, "
            "OpType=ALLREDUCE, Timeout(ms)=600000) ran for 600083 milliseconds before timing out.",
            "[Rank 1] Watchdog caught collective operation timeout",
            "hangs",
        ),
        (
            "NCCL error in: x.cpp:1, remote process exited or there was a network error\n"
            "ncclRemoteError: A call failed.\nLast error:\n"
            "socketProgress: Connection closed by remote peer a<1>",
            "socketProgress: Connection closed by remote peer",
            None,
        ),
        ("[/x/gloo/transport/tcp/pair.cc:545] Connection reset by peer", "Connection reset", None),
    ],
)
def test_the_reason_is_told_in_the_words_of_the_backend(message, reason, mend):
    error = torch.distributed.DistBackendError(message)
    said = connection_errors.reason_of(error)
    assert said.startswith(reason) and "\n" not in said and "frame" not in said
    told = connection_errors.mend_of(error)
    assert mend in told if mend else told is None
