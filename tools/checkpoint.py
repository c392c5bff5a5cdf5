"""Show what a checkpoint is: its settings, data, code and metrics.

python -m tools.checkpoint checkpoints/ntu60_xsub     a run's folder, or one checkpoint
"""

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from common import run
from tools.training.checkpoint import in_folder, layout_of, load, newest


def page(path: Path) -> str:
    """A checkpoint, or the newest one in a folder, as readable lines."""
    if path.is_dir():
        others = ", ".join(other.name for other in in_folder(path)[:-1]) or "no other"
        return f"{page(newest(path))}\nin the folder also: {others}"
    saved = load(path)
    file = path.stat()
    written = time.strftime("%Y-%m-%d %H:%M", time.localtime(file.st_mtime))
    lines = [
        f"{path}  {file.st_size / 2**20:.1f} MiB, written {written}",
        f"after {saved['epoch']} epochs and {saved['step']} steps",
        f"of clips of {layout_of(saved)}",
    ]
    for part in ("code", "data", "metrics", "settings"):
        width = max(map(len, saved[part]), default=0)
        lines += ["", part]
        for name, value in saved[part].items():
            shown = f"{value:.6g}" if isinstance(value, float) else str(value)
            lines.append(f"  {name:{width}}  {shown}")
    sizes = Counter()
    for name, weight in saved["model"].items():
        sizes[name.split(".")[0]] += weight.numel()
    parts = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    return "\n".join([*lines, "", f"model  {sum(sizes.values()):,} numbers: {parts}"])


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m tools.checkpoint", description=__doc__.splitlines()[0], allow_abbrev=False
    )
    parser.add_argument("path", type=Path, help="a checkpoint, or the folder of a run")
    print(page(parser.parse_args(argv).path))


if __name__ == "__main__":
    run(main)
