"""What the *_gendata.py commands share: common flags, and exit codes with messages."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from data_gen.preparing.flags import whole_number
from data_gen.preparing.parallel import WorkerDied, usable_cpus
from data_gen.preparing.store import StoreError
from data_gen.preparing.streams import drop_output, open_streams
from data_gen.readers.raw_folders import RawDataError

DATA = Path(__file__).resolve().parents[2] / "data"


def add_flags(parser: argparse.ArgumentParser, stores: str) -> None:
    """Add --out_folder, --workers and --strict to a parser.

    stores: the folders that --out_folder DIR leads to, for the help
    """
    parser.add_argument(
        "--out_folder",
        type=Path,
        default=DATA,
        metavar="DIR",
        help=f"the store becomes {stores} (default: data)",
    )
    parser.add_argument(
        "--workers",
        type=whole_number(1, 1024),
        default=usable_cpus(),
        help="processes (default: all CPUs)",
    )
    parser.add_argument(
        "--strict", action="store_true", help="a malformed file ends the run without a store"
    )


def run(prepare: Callable[[argparse.Namespace], None], args: argparse.Namespace) -> int:
    """Run a command and return its exit code. An error that a user can cause is one line.

    prepare: the command, which takes `args`
    """
    open_streams()
    try:
        prepare(args)
    except (RawDataError, StoreError, WorkerDied) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error}; the run ended before its store was whole", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; no store was written", file=sys.stderr)
        return 130
    finally:
        drop_output()
    return 0
