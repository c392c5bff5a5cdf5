"""torchrun with all its flags, but a failure is one line instead of a traceback.

python -m tools.launch --standalone --nproc_per_node 4 pretrain.py --pre-dataset ntu60
"""

import logging
import os
import signal
import sys
from collections.abc import Sequence

from tools import cli


def parse_args(argv: Sequence[str] | None = None) -> list[str]:
    """The words for torchrun: its flags, the program, and the program's flags."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = cli.Parser(__doc__.splitlines()[0])
    parser.usage = "%(prog)s [-h] [flags of torchrun] PROGRAM [flags of the program]"
    parser.epilog = "`python -m torch.distributed.run --help` lists the flags of torchrun."
    # The other words are torchrun's: a later --help may be of the program.
    parser.parse_args([word for word in words[:1] if word in ("-h", "--help")])
    return words


def main(argv: Sequence[str] | None = None) -> None:
    """Start the processes and wait for them.

    Exit with the code of the first process that failed.
    """
    words = parse_args(argv)
    # torch is slow to import. --help does not wait for it.
    from torch.distributed import DistError, run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousClosedError, RendezvousError

    # torchrun would set the same number of threads, with a warning.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # With one store for all restarts, new processes would get addresses of processes that are gone.
    os.environ.setdefault("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    # When a process is gone, torch would print pages of C++ addresses in the other processes.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    logging.disable(logging.ERROR)  # this function prints the errors itself
    try:
        run.main(words)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode > 0:  # the process has printed its error
            sys.exit(failure.exitcode)
        name = signal.Signals(-failure.exitcode).name
        hint = " (out of memory, perhaps)" if name == "SIGKILL" else ""
        print(
            f"error: rank {rank}, process {failure.pid} on {os.uname().nodename}, was ended by "
            f"{name}{hint}; the same command goes on from the newest checkpoint",
            file=sys.stderr,
        )
        sys.exit(128 - failure.exitcode)
    except SignalException as error:
        sys.exit(128 + error.sigval)
    except RendezvousClosedError:
        sys.exit("error: the run was ended on another machine")
    except (RendezvousError, DistError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        sys.exit(f"error: the machines do not find each other: {reason}")


if __name__ == "__main__":
    cli.run(main)
