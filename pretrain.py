"""Pre-train without labels: a store in, checkpoints and TensorBoard scalars out.

    python pretrain.py --pre-dataset ntu60 --protocol cross_subject --checkpoint-path checkpoints/x

On several GPUs torchrun starts one process each (see script_pretrain.sh); a CPU needs no other
command.
"""

import sys
from collections.abc import Sequence
from functools import partial

from tools import cli
from tools.training import records, settings
from tools.training.settings import Settings


def parse_args(argv: Sequence[str] | None = None) -> Settings:
    """What the flags say; tools/training/settings.py and net/methods.py declare them."""
    parser = cli.Parser(__doc__.splitlines()[0])
    records.add_flags(parser, *settings.RECORDS)
    try:
        return settings.from_names(vars(parser.parse_args(argv)))
    except ValueError as error:
        parser.error(str(error))


def main(argv: Sequence[str] | None = None) -> None:
    chosen = parse_args(argv)
    # With these comes torch, for which no --help and no wrong flag should wait.
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
