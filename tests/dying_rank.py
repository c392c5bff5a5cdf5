"""pretrain.py in float64 with a rank that is killed: `-m tests.dying_rank MARKER STEP flags...`

Rank 1 is killed by SIGKILL after STEP steps of the run. The file MARKER is written then, and a
later run with the same MARKER is not killed.
"""

import os
import signal
import sys
from pathlib import Path

import pretrain
from tests.double_run import in_double
from tools import cli
from tools.training.logs import TrainingLog


def main() -> None:
    marker, step = Path(sys.argv.pop(1)), int(sys.argv.pop(1))
    add = TrainingLog.add

    def add_or_die(log, *arguments):
        add(log, *arguments)
        if os.environ["RANK"] == "1" and log.step == step and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    TrainingLog.add = add_or_die
    with in_double():
        cli.run(pretrain.main)


if __name__ == "__main__":
    main()
