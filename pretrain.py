"""Pre-train an encoder without labels; write checkpoints and TensorBoard curves.

    python pretrain.py --pre-dataset ntu60 --protocol cross_subject --checkpoint-path checkpoints/x

The command uses one GPU, or the CPU. With several GPUs torchrun starts one process for each GPU, as
script_pretrain.sh does.
"""

import sys
from collections.abc import Sequence
from functools import partial

from tools import cli
from tools.training import records, settings
from tools.training.settings import Settings


def parse_args(argv: Sequence[str] | None = None) -> Settings:
    """Read the flags, which tools/training/settings.py and net/methods.py declare."""
    parser = cli.Parser(__doc__.splitlines()[0])
    records.add_flags(parser, *settings.RECORDS)
    try:
        return settings.from_names(vars(parser.parse_args(argv)))
    except ValueError as error:
        parser.error(str(error))


def main(argv: Sequence[str] | None = None) -> None:
    """Pre-train as the flags say. If a signal stops the run, the exit code is 128 + the signal."""
    chosen = parse_args(argv)
    # These modules import torch, which is slow. --help and wrong flags do not wait for it.
    from feeder.mixture import open_data
    from tools.training import distributed
    from tools.training.lost_processes import together
    from tools.training.run import pretrain

    process = distributed.start()
    with together(process) as stop:
        find_store = partial(open_data, chosen.data_root, chosen.pre_dataset)
        store = distributed.on_all_ranks(process, find_store)
        finished = pretrain(chosen, store, process, stop)
    distributed.stop()
    if not finished:
        sys.exit(128 + stop.number)


if __name__ == "__main__":
    cli.run(main, lower="--batch-size or the model's sizes")
