"""Export the encoder for other programs, by `torch.export` or ONNX, and check the result.

    python -m tools.export --checkpoint-path checkpoints/ntu60_xsub --out encoder.onnx

The exported encoder takes joints (B, 64, M, V, 3) float32 = clips, frames, bodies, joints, xyz in
metres, and returns features (B, 2H). It takes any number of clips. The clips must be prepared and
resized as `features.encode_clip` does.
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
                        help="what the encoder sees; it is derived from the joints (the modalities "
                        "of its pre-training)")
    parser.add_argument("--out", type=cli.file_with(".onnx", ".pt2"), required=True,
                        help="file to write: .onnx, or .pt2 for torch.export.load")
    args = parser.parse_args(argv)
    missing = [name for name in ONNX_MODULES if not find_spec(name)]
    if args.out.suffix == ".onnx" and missing:
        parser.error(f"--out {args.out.name} needs `pip install {' '.join(missing)}`")
    return args
# fmt: on


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    from net.modalities import FRAMES  # imports torch, so after the flags are checked
    from tools.evaluation import encoders
    from tools.formats.exported import export

    loaded = encoders.load(args.checkpoint_path)
    encoder = loaded.encoder
    difference = export(encoder, args.modalities or loaded.modalities, args.out)
    print(
        f"joints {('B', FRAMES, *encoder.layout.frame_shape)} -> features "
        f"(B, {encoder.feature_size}); exported and original features differ by at most "
        f"{difference:.1e} of the greatest feature\nwritten to {args.out}"
    )


if __name__ == "__main__":
    cli.run(main)
