"""One of several processes, of which one fails: `-m tests.failing_rank RANK HOW`

The process RANK (or each, if RANK is `all`) prints the time and fails. HOW says how: `error` is a
mistake of the user, `kill` is SIGKILL, `collective` is NCCL's error of a lost network. The other
processes wait outside of Python, as a collective of NCCL waits for a process that has ended.
"""

import os
import signal
import sys
import time
from datetime import timedelta

import torch.distributed as dist

from tools import cli
from tools.training import distributed
from tools.training.lost_processes import together

NCCL = """NCCL error in: /pytorch/torch/csrc/distributed/c10d/NCCLUtils.cpp:77, unhandled system \
error (run with NCCL_DEBUG=INFO for details), NCCL version 2.27.5
ncclSystemError: System call (e.g. socket, malloc) or external library call failed or device error.
Last error:
socketPollConnect: connect to 10.0.0.7<39017> returned No route to host, exceeded error retry count
Exception raised from create at /pytorch/torch/csrc/distributed/c10d/NCCLUtils.cpp:77 (most recent:
frame #0: c10::Error::Error(c10::SourceLocation, std::string) + 0x98 (0x7f01e in libc10.so)
"""


def main() -> None:
    failing, how = sys.argv[1:]
    process = distributed.start()
    with together(process):
        if failing in ("all", str(process.rank)):
            os.write(1, f"{time.time()}\n".encode())  # one write: two processes may print at once
            if how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise cli.UserError("no space left") if how == "error" else dist.DistBackendError(NCCL)
        store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        store.wait(["what nobody sets"], timedelta(seconds=120))


if __name__ == "__main__":
    cli.run(main)
