"""Draw the method: a clip, its four views, the one encoder, the projectors and the loss.

python -m tools.method_figure S001C001P001R001A001.skeleton --out method.png
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tools import cli


# fmt: off
def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, metavar="FILE.skeleton", help="the recording to show")
    parser.add_argument("--out", type=cli.file_with(".png", ".svg"), default="method.png",
                        help="file to write: .png or .svg")
    parser.add_argument("--seed", type=cli.whole_number(0), default=0, help="seed of the views")
    return parser.parse_args(argv)
# fmt: on


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    from tools.drawing import clips, figures, method  # import torch, so after the flags are checked

    figures.save(method.picture(clips.of_recording(args.file), args.seed), args.out, dpi=120)
    print(f"written to {args.out}")


if __name__ == "__main__":
    cli.run(main)
