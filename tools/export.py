"""The encoder for use elsewhere, by `torch.export` or ONNX, held against the one it is made of.

    python -m tools.export --checkpoint-path checkpoints/ntu60_xsub --out encoder.onnx

It takes joints (B, 64, M, V, 3) float32 = clips, frames, bodies, joints, xyz in metres, prepared
and resized as `features.encode_clip` does, any number of clips, and gives features (B, 2H).
"""

import argparse
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tools import cli
from tools.evaluation import flags

ONNX_MODULES = ("onnx", "onnxscript", "onnxruntime")


# fmt: off
def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    parser.add_argument("--checkpoint-path", type=Path, required=True,
                        help="folder of the run, or a checkpoint")
    parser.add_argument("--modalities", type=flags.modalities,
                        help="what the encoder is to see, derived from the joints (those that its "
                        "pre-training taught it)")
    parser.add_argument("--out", type=Path, required=True,
                        help="a .onnx, or a .pt2 for torch.export.load")
    args = parser.parse_args(argv)
    if args.out.suffix not in (".onnx", ".pt2"):
        parser.error(f"--out {args.out} is neither .onnx nor .pt2")
    missing = [name for name in ONNX_MODULES if not find_spec(name)]
    if args.out.suffix == ".onnx" and missing:
        parser.error(f"--out {args.out.name} needs `pip install {' '.join(missing)}`")
    return args
# fmt: on


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    from net.modalities import FRAMES  # torch: once the flags are right
    from tools.evaluation import encoders
    from tools.formats.exported import export

    loaded = encoders.load(args.checkpoint_path)
    encoder = loaded.encoder
    difference = export(encoder, args.modalities or loaded.modalities, args.out)
    print(
        f"joints {('B', FRAMES, *encoder.layout.frame_shape)} -> features "
        f"(B, {encoder.feature_size}); its features differ from the encoder's by "
        f"{difference:.1e} of the greatest at most\nwritten to {args.out}"
    )


if __name__ == "__main__":
    cli.run(main)
