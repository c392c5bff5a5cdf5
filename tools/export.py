"""The encoder for use elsewhere, by `torch.export` or ONNX, held against the one it is made of.

    python -m tools.export --checkpoint-path checkpoints/ntu60_xsub --out encoder.onnx

It takes joints (B, 64, M, V, 3) float32 = clips, frames, bodies, joints, xyz in metres, prepared
and resized as `features.encode_clip` does, any number of clips, and gives features (B, 2H).
"""

import argparse
import io
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from data_gen.preparing.files import whole_file
from net.encoder import Encoder
from net.modalities import FRAMES, MODALITIES, derive
from tools import cli
from tools.evaluation import flags
from tools.evaluation.encoders import load_encoder

ONNX_MODULES = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-4  # relative to the greatest feature


class JointsToFeature(nn.Module):
    """An encoder with its modalities: joints (B, 64, M, V, C) -> features (B, 2H)."""

    def __init__(self, encoder: Encoder, modalities: tuple[str, ...] = MODALITIES):
        super().__init__()
        self.encoder = encoder
        self.modalities = modalities

    def forward(self, joints: Tensor) -> Tensor:
        return self.encoder(derive(joints, self.modalities, self.encoder.layout.skeleton))


# fmt: off
def parse_args() -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    parser.add_argument("--checkpoint-path", type=Path, required=True,
                        help="folder of the run, or a checkpoint")
    parser.add_argument("--modalities", type=flags.modalities, default=",".join(MODALITIES),
                        help="what the encoder is to see, derived from the joints")
    parser.add_argument("--out", type=Path, required=True,
                        help="a .onnx, or a .pt2 for torch.export.load")
    args = parser.parse_args()
    if args.out.suffix not in (".onnx", ".pt2"):
        parser.error(f"--out {args.out} is neither .onnx nor .pt2")
    missing = [name for name in ONNX_MODULES if not find_spec(name)]
    if args.out.suffix == ".onnx" and missing:
        parser.error(f"--out {args.out.name} needs `pip install {' '.join(missing)}`")
    return args
# fmt: on


def main() -> None:
    args = parse_args()
    model = JointsToFeature(load_encoder(args.checkpoint_path), args.modalities)
    write, read = {".onnx": (to_onnx, from_onnx), ".pt2": (to_pt2, from_pt2)}[args.out.suffix]
    content = write(model)
    difference = compare(model, read(content))
    with whole_file(args.out) as part:
        part.write_bytes(content)
    print(
        f"joints {('B', FRAMES, *model.encoder.layout.frame_shape)} -> features "
        f"(B, {model.encoder.feature_size}); its features differ from the encoder's by "
        f"{difference:.1e} of the greatest at most\nwritten to {args.out}"
    )


def example(encoder: Encoder, clips: int, seed: int = 0) -> Tensor:
    """Random joints (clips, 64, M, V, C) of the bodies that an encoder takes."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(clips, FRAMES, *encoder.layout.frame_shape, generator=generator)


def to_pt2(model: JointsToFeature) -> bytes:
    """A file for `torch.export.load`."""
    file = io.BytesIO()  # torch has no OSError for a full disk
    torch.export.save(_program(model), file)
    return file.getvalue()


def from_pt2(content: bytes) -> Callable[[Tensor], Tensor]:
    """A function from joints to features."""
    return torch.export.load(io.BytesIO(content)).module()


def to_onnx(model: JointsToFeature) -> bytes:
    """A file of an ONNX model with input `joints` and output `features`, weights inside."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encoder.onnx"
        torch.onnx.export(
            _program(model),
            f=path,
            input_names=["joints"],
            output_names=["features"],
            external_data=False,
            verbose=False,
        )
        return path.read_bytes()


def from_onnx(content: bytes) -> Callable[[Tensor], Tensor]:
    """A function from joints to features, by onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda joints: torch.from_numpy(session.run(None, {"joints": joints.numpy()})[0])


def _program(model: JointsToFeature) -> torch.export.ExportedProgram:
    # Two clips, since a size of one would be taken for a constant.
    clips = {0: torch.export.Dim("clips", min=1, max=2**16)}
    with torch.no_grad():
        return torch.export.export(model, (example(model.encoder, 2),), dynamic_shapes=(clips,))


@torch.no_grad()
def compare(model: JointsToFeature, exported: Callable[[Tensor], Tensor]) -> float:
    """Greatest relative difference of an exported encoder from the one it was made of.

    Raises UserError where it is more than rounding.
    """
    difference = 0.0
    for clips in (1, 3):
        joints = example(model.encoder, clips, seed=clips)
        features = model(joints)
        error = (exported(joints) - features).abs().amax() / features.abs().amax()
        difference = max(difference, error.item())
    if not difference <= TOLERANCE:
        raise cli.UserError(f"the exported encoder differs by {difference:.1e}; nothing is written")
    return difference


if __name__ == "__main__":
    cli.run(main)
