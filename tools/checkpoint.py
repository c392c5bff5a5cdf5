"""Show what a checkpoint is: its settings, data, code and metrics.

python -m tools.checkpoint checkpoints/ntu60_xsub     a run's folder, or one checkpoint
"""

import argparse
import time
from collections import Counter
from pathlib import Path

from common import run
from tools.training.checkpoint import layout_of, load, newest


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m tools.checkpoint", allow_abbrev=False)
    parser.description = __doc__.splitlines()[0]
    parser.add_argument("path", type=Path, help="a checkpoint, or the folder of a run")
    path = newest(parser.parse_args(argv).path)
    saved, file = load(path), path.stat()
    written = time.strftime("%Y-%m-%d %H:%M", time.localtime(file.st_mtime))
    print(f"{path}  {file.st_size / 2**20:.1f} MiB, written {written}")
    print(f"after {saved['epoch']} epochs and {saved['step']} steps")
    print(f"of clips of {layout_of(saved)}")
    for part in ("code", "data", "metrics", "settings"):
        print(f"\n{part}")
        width = max(map(len, saved[part]), default=0)
        for name, value in saved[part].items():
            shown = f"{value:.6g}" if isinstance(value, float) else str(value)
            print(f"  {name:{width}}  {shown}")
    sizes = Counter()
    for name, weight in saved["model"].items():
        sizes[name.split(".")[0]] += weight.numel()
    parts = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    print(f"\nmodel  {sizes.total():,} numbers: {parts}")


if __name__ == "__main__":
    run(main)
