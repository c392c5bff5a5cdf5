"""Show what a checkpoint is: its settings, data, code and metrics.

python -m tools.checkpoint checkpoints/ntu60_xsub     a run's folder, or one checkpoint
"""

import math
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools import cli


def page(path: Path) -> str:
    """A checkpoint, or the newest one in a folder, as readable lines."""
    from tools.formats.checkpoint import in_folder, layout_of, load, newest  # torch: not for --help

    if path.is_dir():
        newest_one, others = newest(path), in_folder(path)[:-1]
        also = ", ".join(other.name for other in others) or "no other"
        return f"{page(newest_one)}\nin the folder also: {also}"
    saved = load(path)
    file = path.stat()
    written = time.strftime("%Y-%m-%d %H:%M", time.localtime(file.st_mtime))
    lines = [
        f"{path}  {file.st_size / 2**20:.1f} MiB, written {written}",
        f"after {saved['epoch']} epochs and {saved['step']} steps",
        f"of clips of {layout_of(saved)}",
    ]
    for part in ("code", "data", "metrics", "settings"):
        facts = {_shown(name): _shown(value) for name, value in saved[part].items()}
        width = max(map(len, facts), default=0)
        lines += ["", part, *(f"  {name:{width}}  {value}" for name, value in facts.items())]
    sizes = Counter()
    for name, weight in saved["model"].items():
        sizes[_shown(name.split(".")[0])] += math.prod(weight.shape)
    parts = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    return "\n".join([*lines, "", f"model  {sum(sizes.values()):,} numbers: {parts}"])


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    # A text of the file may hold control characters that a terminal would obey.
    return value if isinstance(value, str) and value.isprintable() else repr(value)


def main(argv: Sequence[str] | None = None) -> None:
    parser = cli.Parser(__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="a checkpoint, or the folder of a run")
    print(page(parser.parse_args(argv).path))


if __name__ == "__main__":
    cli.run(main)
