"""The encoder as a file for other programs, held against the one that it is made of.

It takes joints (B, 64, M, V, 3) float32 = clips, frames, bodies, joints, xyz in metres, prepared
and resized as `features.encode_clip` does, any number of clips, and gives features (B, 2H).
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

TOLERANCE = 1e-4  # relative to the greatest feature


class JointsToFeature(nn.Module):
    """An encoder with its modalities: joints (B, 64, M, V, C) -> features (B, 2H)."""

    def __init__(self, encoder: Encoder, modalities: tuple[str, ...] = MODALITIES):
        super().__init__()
        self.encoder = encoder
        self.modalities = modalities

    def forward(self, joints: Tensor) -> Tensor:
        return self.encoder(derive(joints, self.modalities, self.encoder.layout.skeleton))


def export(encoder: Encoder, modalities: tuple[str, ...], path: Path) -> float:
    """Write an encoder that sees some modalities as the .pt2 or .onnx that a path names.

    Returns the greatest relative difference of its features from the encoder's. Raises UserError,
    and writes nothing, where that is more than rounding.
    """
    model = JointsToFeature(encoder, modalities)
    write, read = {".onnx": (to_onnx, from_onnx), ".pt2": (to_pt2, from_pt2)}[path.suffix]
    content = write(model)
    difference = compare(model, read(content))
    with whole_file(path) as part:
        part.write_bytes(content)
    return difference


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
        raise UserError(f"the exported encoder differs by {difference:.1e}; nothing is written")
    return difference
