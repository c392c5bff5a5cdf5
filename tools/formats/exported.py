"""Export the encoder as a file for other programs, and compare the file with the encoder.

The exported encoder takes joints (B, 64, M, V, 3) float32 = clips, frames, bodies, joints, xyz in
metres, and returns features (B, 2H). It takes any number of clips. The clips must be prepared and
resized as `features.encode_clip` does.
"""

import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from data_gen.preparing.files import whole_file
from net import MODALITIES
from net.encoder import Encoder
from net.modalities import FRAMES, derive
from tools.cli import UserError

TOLERANCE = 1e-4  # greatest difference, relative to the greatest feature


class JointsToFeature(nn.Module):
    """The encoder, and before it the modalities: joints (B, 64, M, V, C) -> features (B, 2H)."""

    def __init__(self, encoder: Encoder, modalities: tuple[str, ...] = MODALITIES):
        super().__init__()
        self.encoder = encoder
        self.modalities = modalities

    def forward(self, joints: Tensor) -> Tensor:
        return self.encoder(derive(joints, self.modalities, self.encoder.layout.skeleton))


def export(encoder: Encoder, modalities: tuple[str, ...], path: Path) -> float:
    """Write an encoder as a .pt2 or .onnx file.

    Returns the greatest relative difference of features.

    encoder: in eval mode.
    modalities: what the encoder sees.
    path: ends in .pt2 or .onnx.
    Raises UserError, and writes nothing, where the difference is more than rounding.
    """
    model = JointsToFeature(encoder, modalities)
    write, read = {".onnx": (to_onnx, from_onnx), ".pt2": (to_pt2, from_pt2)}[path.suffix]
    content = write(model)
    difference = compare(model, read(content))
    with whole_file(path) as part:
        part.write_bytes(content)
    return difference


def example(encoder: Encoder, clips: int, seed: int = 0) -> Tensor:
    """Random joints (clips, 64, M, V, C) with the bodies and joints that an encoder takes."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(clips, FRAMES, *encoder.layout.frame_shape, generator=generator)


def to_pt2(model: JointsToFeature) -> bytes:
    """The content of a file for `torch.export.load`."""
    file = io.BytesIO()  # not the disk: torch raises no OSError where the disk is full
    torch.export.save(_program(model), file)
    return file.getvalue()


def from_pt2(content: bytes) -> Callable[[Tensor], Tensor]:
    """The function from joints to features in the content of a .pt2 file."""
    return torch.export.load(io.BytesIO(content)).module()


def to_onnx(model: JointsToFeature) -> bytes:
    """The content of an ONNX file with input `joints`, output `features` and the weights."""
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
    """The function from joints to features in the content of an ONNX file, run by onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda joints: torch.from_numpy(session.run(None, {"joints": joints.numpy()})[0])


def _program(model: JointsToFeature) -> torch.export.ExportedProgram:
    # Two clips, since torch.export takes a size of one for a constant.
    clips = {0: torch.export.Dim("clips", min=1, max=2**16)}
    with torch.no_grad():
        return torch.export.export(model, (example(model.encoder, 2),), dynamic_shapes=(clips,))


@torch.no_grad()
def compare(model: JointsToFeature, exported: Callable[[Tensor], Tensor]) -> float:
    """The greatest difference of an exported encoder's features, relative to the greatest feature.

    Raises UserError where it is more than rounding.
    """
    difference = 0.0
    for clips in (1, 3):
        joints = example(model.encoder, clips, seed=clips)
        features = model(joints)
        error = (exported(joints) - features).abs().amax() / features.abs().amax()
        difference = max(difference, error.item())
    if not difference <= TOLERANCE:
        raise UserError(f"the exported encoder differs by {difference:.1e}; nothing is written")
    return difference
