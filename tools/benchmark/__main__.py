"""Measure the time and the memory of each stage, beside a literal version of the method.

    python -m tools.benchmark [STAGE|all] [--out benchmark.json]

This code and the literal version (tests/literal) take turns on the same inputs. Times are medians.
Run the command on a machine that does nothing else. From one machine to another compare ratios, not
times.
"""

import argparse
import json
import pkgutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from data_gen.preparing.files import whole_file
from tools import cli
from tools.benchmark.sizes import SIZES

STAGES = {  # the function that measures each stage: text, so that --help does not import torch
    "preprocess": "tools.benchmark.preprocess:measure",
    "input": "tools.benchmark.views:measure",
    "step": "tools.benchmark.step:measure",
    "methods": "tools.benchmark.methods:measure",
    "shortcuts": "tools.benchmark.shortcuts:measure",
    "linear": "tools.benchmark.evaluation:linear",
    "knn": "tools.benchmark.evaluation:knn",
    "scale": "tools.benchmark.scale:measure",
}


# fmt: off
def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    parser.add_argument("stage", choices=(*STAGES, "all"), nargs="?", default="all")
    parser.add_argument("--size", choices=("auto", *SIZES), default="auto",
                        help="of models and inputs; auto: full on a GPU, else small")
    parser.add_argument("--data_path", type=Path, metavar="DIR",
                        help="raw .skeleton files to preprocess instead of synthetic recordings")
    parser.add_argument("--scratch", type=Path, metavar="DIR",
                        help="folder for temporary files (full: 6 GB); the system's by default")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the figures there as JSON")
    return parser.parse_args(argv)
# fmt: on


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    import torch  # once the flags are right

    from tools.benchmark.machine import describe
    from tools.benchmark.measure import Row, table

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = args.size if args.size != "auto" else "full" if device.type == "cuda" else "small"
    if args.out and not args.out.parent.is_dir():
        raise cli.UserError(f"--out: there is no folder {args.out.parent}")
    machine = describe(device)
    print(", ".join(f"{key.replace('_', ' ')} {value}" for key, value in machine.items()))
    rows: list[Row] = []
    for stage in STAGES if args.stage == "all" else (args.stage,):
        print(f"measuring {stage} ...", flush=True)
        with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
            rows += pkgutil.resolve_name(STAGES[stage])(
                SIZES[name], device, Path(scratch), args.data_path
            )
    print(table(rows))
    if args.out:
        figures = {
            "machine": machine,
            "size": SIZES[name]._asdict(),
            "rows": [row.as_json() for row in rows],
        }
        with whole_file(args.out) as part:
            part.write_text(json.dumps(figures, indent=2) + "\n")
        print(f"written to {args.out}")


if __name__ == "__main__":
    cli.run(main)
