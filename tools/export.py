"""Export the encoder for other programs, by `torch.export` or ONNX, and check the result.

    python -m tools.export --checkpoint-path checkpoints/mine [--with-classes] --out encoder.onnx

The encoder takes joints (B, 64, M, V, 3) float32 = clips, frames, bodies, joints, xyz in metres,
and returns features (B, 2H). The clips are prepared as those of a store and resized as by
`features.encode_clip`. With --with-classes the program takes the prepared frames of one clip,
joints (T, M, V, 3), and returns the probabilities (K,) of the classes. Their names are a JSON list:
in ONNX `classes` of the model's metadata, in .pt2 the extra file `classes.json`.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common import UserError, atomic, run
from feeder.augment import VIEW_FRAMES
from net import MODALITIES
from net.encoder import Encoder
from net.modalities import derive
from tools.evaluation import encoders, flags, linear_layers
from tools.evaluation.features import encode_views

ONNX_MODULES = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-4  # greatest difference, relative to the greatest output


class JointsToFeature(nn.Module):
    """The encoder, and before it the modalities: joints (B, 64, M, V, C) -> features (B, 2H)."""

    output = "features"
    sizes = (1, 3)  # of the first axis, for the check

    def __init__(self, encoder: Encoder, modalities: tuple[str, ...] = MODALITIES):
        super().__init__()
        self.encoder, self.modalities = encoder, modalities
        self.shape = (VIEW_FRAMES, *encoder.layout.frame_shape)  # of a clip

    def forward(self, joints: Tensor) -> Tensor:
        return self.encoder(derive(joints, self.modalities, self.encoder.layout.skeleton))


class FramesToProbabilities(nn.Module):
    """The whole of recognition: prepared joints (T, M, V, C) -> probabilities (K,)."""

    output = "probabilities"
    sizes = (1, 5, 64, 200)

    def __init__(self, trained: linear_layers.Trained):
        super().__init__()
        self.encoder, self.classifier = trained.loaded.encoder, trained.classifier
        self.trained = trained
        self.shape = self.encoder.layout.frame_shape

    def forward(self, joints: Tensor) -> Tensor:
        paths = joints.flatten(1).T[None]  # (1, M·V·C, T)
        views = F.interpolate(paths, VIEW_FRAMES, mode="linear")  # as `feeder.augment.resize`
        clip = views.transpose(1, 2).unflatten(2, self.shape)  # (1, 64, M, V, C)
        features = encode_views(self.encoder, clip, self.trained.streams)
        return self.trained.probabilities(self.trained.scaled(features))[0]


def example(model: JointsToFeature | FramesToProbabilities, size: int) -> Tensor:
    return torch.randn(size, *model.shape, generator=torch.Generator().manual_seed(size))


def write(model: nn.Module, path: Path, suffix: str, classes: Sequence[str] = ()) -> None:
    """Write a model as a program for `torch.export.load` (.pt2) or as an ONNX file (.onnx)."""
    # The size of the example is not 1, which torch.export takes for a constant.
    any_size = {0: torch.export.Dim("size", min=1, max=2**16)}
    with torch.no_grad():
        program = torch.export.export(model, (example(model, 3),), dynamic_shapes=(any_size,))
    names = json.dumps(list(classes))
    if suffix == ".pt2":
        with path.open("wb") as file:
            torch.export.save(program, file, extra_files={"classes.json": names} if classes else {})
        return
    inputs, outputs = ["joints"], [model.output]
    onnx = torch.onnx.export(program, input_names=inputs, output_names=outputs, verbose=False)
    if classes:
        onnx.model.metadata_props["classes"] = names
    onnx.save(path, external_data=False)


def read(path: Path, suffix: str) -> Callable[[Tensor], Tensor]:
    """The function from joints to the output in a file that `write` wrote."""
    if suffix == ".pt2":
        with path.open("rb") as file:
            return torch.export.load(file).module()
    import onnxruntime  # an optional requirement

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda joints: torch.from_numpy(session.run(None, {"joints": joints.numpy()})[0])


@torch.no_grad()
def compare(model: nn.Module, exported: Callable[[Tensor], Tensor]) -> float:
    """The greatest difference of an exported model's output, relative to the greatest output.
    Raises UserError if it is more than rounding.
    """
    errors = []
    for joints in (example(model, size) for size in model.sizes):
        expected = model(joints)
        errors.append(float((exported(joints) - expected).abs().amax() / expected.abs().amax()))
        if not errors[-1] <= TOLERANCE:
            raise UserError(f"the exported program differs by {errors[-1]:.1e}; nothing is written")
    return max(errors)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--checkpoint-path", type=Path, required=True, help="folder of the run, or a checkpoint")
    add("--modalities", type=flags.modalities, help="as in joint,bone (of pre-training)")
    add("--with-classes", action="store_true", help="with the linear layer: probabilities")
    add("--out", type=Path, required=True, help="file to write: .onnx, or .pt2 for torch.export")
    args = parser.parse_args(argv)
    if args.modalities and args.with_classes:
        parser.error("--modalities has no effect with --with-classes: the linear layer has its own")
    if args.out.suffix not in (".onnx", ".pt2"):
        parser.error(f"--out {args.out} is neither .onnx nor .pt2")
    if args.out.suffix == ".onnx" and not all(map(find_spec, ONNX_MODULES)):
        parser.error(f"--out {args.out} needs `pip install {' '.join(ONNX_MODULES)}`")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    suffix, classes = args.out.suffix, ()
    if args.with_classes:
        trained = linear_layers.load(args.checkpoint_path)
        model, classes = FramesToProbabilities(trained), trained.classes
    else:
        loaded = encoders.load(args.checkpoint_path)
        model = JointsToFeature(loaded.encoder, loaded.modalities_of(args.modalities))
    with atomic(args.out) as part:
        write(model, part, suffix, classes)
        difference = compare(model, read(part, suffix))
    print(f"joints {('any number', *model.shape)} -> {model.output}")
    print(f"exported and original output differ by at most {difference:.1e} of the greatest")
    print(f"written to {args.out}")


if __name__ == "__main__":
    run(main)
