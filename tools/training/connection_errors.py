"""Why processes cannot reach each other, in the words of NCCL and gloo, and what to do."""

import re

_INTERFACE = "set NCCL_SOCKET_IFNAME to the network interface that connects the machines"
_SHARED = "give /dev/shm more room (docker run --shm-size) or set NCCL_SHM_DISABLE=1"
# Text in the message, in small letters -> what to do.
MENDS = {
    "shm": _SHARED,
    "shared memory": _SHARED,
    "no route": _INTERFACE,
    "unreachable": _INTERFACE,
    "connection refused": _INTERFACE,
    "bootstrap": _INTERFACE,
    "out of memory": "lower --batch-size, or end other programs on the GPU",
    "timeout": "one process hangs or is far slower than the others",
    "timed out": "one process hangs or is far slower than the others",
}
LONGEST = 300  # characters of a message that are shown


def reason_of(error: Exception) -> str:
    """Why a collective failed, in one line, without file names of torch, NCCL or gloo."""
    told = str(error).split("Exception raised from")[0]
    told = told.rpartition("Last error:")[2].strip() or told  # NCCL's words follow torch's
    told = re.sub(r"\[\S*/\S*:\d+\]", "", told)  # the file and line of gloo
    return " ".join(told.split())[:LONGEST] or type(error).__name__


def mend_of(error: Exception) -> str | None:
    """What to do against an error.

    None where nothing is known, for example where a process is gone.
    """
    told = str(error).lower()
    return next((mend for text, mend in MENDS.items() if text in told), None)
