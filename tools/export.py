"""Export the encoder for other programs, by `torch.export` or ONNX, and check the result.

    python -m tools.export --checkpoint-path checkpoints/ntu60_xsub --out encoder.onnx

The exported encoder takes joints (B, 64, M, V, 3) float32 = clips, frames, bodies, joints, xyz in
metres, and returns features (B, 2H). It takes any number of clips. The clips must be prepared and
resized as `features.encode_clip` does.
"""

import argparse
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from common import UserError, atomic, run
from net import MODALITIES
from net.encoder import Encoder
from net.modalities import FRAMES, derive
from tools.evaluation import encoders

ONNX_MODULES = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-4  # greatest difference, relative to the greatest feature


class JointsToFeature(nn.Module):
    """The encoder, and before it the modalities: joints (B, 64, M, V, C) -> features (B, 2H)."""

    def __init__(self, encoder: Encoder, modalities: tuple[str, ...] = MODALITIES):
        super().__init__()
        self.encoder = encoder
        self.modalities = modalities

    def forward(self, joints: Tensor) -> Tensor:
        return self.encoder(derive(joints, self.modalities, self.encoder.layout.skeleton))


def write(model: JointsToFeature, path: Path, suffix: str) -> None:
    """Write a program for `torch.export.load`, or an ONNX file from `joints` to `features`.

    suffix: .pt2 or .onnx.
    """
    # Two clips, since torch.export takes a size of one for a constant.
    clips = {0: torch.export.Dim("clips", min=1, max=2**16)}
    with torch.no_grad():
        example = (example_joints(model, clips=2),)
        program = torch.export.export(model, example, dynamic_shapes=(clips,))
    if suffix == ".pt2":
        with path.open("wb") as file:
            torch.export.save(program, file)
    else:
        names = {"input_names": ["joints"], "output_names": ["features"]}
        torch.onnx.export(program, f=path, **names, external_data=False, verbose=False)


def read(path: Path, suffix: str) -> Callable[[Tensor], Tensor]:
    """The function from joints to features in a file that `write` wrote."""
    if suffix == ".pt2":
        with path.open("rb") as file:
            return torch.export.load(file).module()
    import onnxruntime  # an optional requirement

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda joints: torch.from_numpy(session.run(None, {"joints": joints.numpy()})[0])


def example_joints(model: JointsToFeature, clips: int) -> Tensor:
    """Random joints (clips, 64, M, V, C) with the bodies and joints that an encoder takes."""
    generator = torch.Generator().manual_seed(clips)
    return torch.randn(clips, FRAMES, *model.encoder.layout.frame_shape, generator=generator)


@torch.no_grad()
def compare(model: JointsToFeature, exported: Callable[[Tensor], Tensor]) -> float:
    """The greatest difference of an exported encoder's features, relative to the greatest feature.

    Raises UserError where it is more than rounding.
    """
    difference = 0.0
    for clips in (1, 3):
        joints = example_joints(model, clips)
        features = model(joints)
        error = (exported(joints) - features).abs().amax() / features.abs().amax()
        difference = max(difference, error.item())
    if not difference <= TOLERANCE:
        raise UserError(f"the exported encoder differs by {difference:.1e}; nothing is written")
    return difference


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tools.export", description=__doc__.splitlines()[0], allow_abbrev=False
    )
    add = parser.add_argument
    add("--checkpoint-path", type=Path, required=True, help="folder of the run, or a checkpoint")
    add("--modalities", metavar="NAMES",
        help="what the encoder sees, separated by commas; it is derived from the joints (the "
        "modalities of its pre-training)")  # fmt: skip
    add("--out", type=Path, required=True,
        help="file to write: .onnx, or .pt2 for torch.export.load")  # fmt: skip
    args = parser.parse_args(argv)
    if args.modalities:
        names = args.modalities.split(",")
        if unknown := set(names) - set(MODALITIES):
            parser.error(f"--modalities: {unknown.pop()} is none of {', '.join(MODALITIES)}")
        args.modalities = tuple(name for name in MODALITIES if name in names)
    if args.out.suffix not in (".onnx", ".pt2"):
        parser.error(f"--out {args.out} is neither .onnx nor .pt2")
    if args.out.suffix == ".onnx" and not all(map(find_spec, ONNX_MODULES)):
        parser.error(f"--out {args.out} needs `pip install {' '.join(ONNX_MODULES)}`")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    loaded = encoders.load(args.checkpoint_path)
    encoder, suffix = loaded.encoder, args.out.suffix
    model = JointsToFeature(encoder, args.modalities or loaded.modalities)
    with atomic(args.out) as part:
        write(model, part, suffix)
        difference = compare(model, read(part, suffix))
    print(
        f"joints {('B', FRAMES, *encoder.layout.frame_shape)} -> features "
        f"(B, {encoder.feature_size}); exported and original features differ by at most "
        f"{difference:.1e} of the greatest feature\nwritten to {args.out}"
    )


if __name__ == "__main__":
    run(main)
