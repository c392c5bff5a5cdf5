"""The linear layers that recognition trained, saved beside its result as NAME.pt."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from common import UserError, atomic
from data_gen.readers.recording import Reading
from tools.evaluation import encoders
from tools.evaluation.features import Scale
from tools.evaluation.probe import LinearClassifier, Recognizer, Run
from tools.evaluation.results import Evaluation
from tools.training import checkpoint

FORMAT = "umurl linear layers 1"
NAME = "recognition"  # the result whose layers are taken if a run has several results


class Trained(NamedTuple):
    """An encoder, and the linear layers that were trained on its features."""

    path: Path
    loaded: encoders.LoadedEncoder
    classifier: LinearClassifier
    streams: list[tuple[str, ...]]  # the modalities of each of S layers
    scale: Scale | None  # standardizes the features; None: features as they are
    facts: dict[str, Any]  # the names of the classes, and the data of the training

    @property
    def classes(self) -> list[str]:
        return self.facts["classes"]

    @property
    def reading(self) -> Reading:
        return Reading.of_store(self.loaded.encoder.layout, self.facts)

    def scaled(self, features: Tensor) -> Tensor:
        """Features (S, n, D) of the encoder, standardized if the layers learned from such ones."""
        return self.scale.apply(features) if self.scale else features

    def probabilities(self, features: Tensor) -> Tensor:
        """Probabilities (n, K) for features (S, n, D): the softmax of the scores' mean over S."""
        return self.classifier(features).mean(0).softmax(1)


def write(evaluation: Evaluation, run: Run) -> None:
    """Write the linear layers of a run of recognition; also the encoder if it was fine-tuned."""
    path, source, store = evaluation.file(".pt"), evaluation.loaded.source, evaluation.data.store
    tuned = isinstance(run.model, Recognizer)
    beside = source.resolve().parent == path.resolve().parent
    layers = run.model.classifier if tuned else run.model
    weights = {
        "layers": layers.state_dict(),
        "scale": evaluation.scale._asdict() if evaluation.scale else {},
        "encoder": run.model.encoder.state_dict() if tuned else {},
    }
    facts = {
        "checkpoint": source.name if beside else str(source.resolve()),
        "encoder": digest(evaluation.loaded.encoder),
        "dataset": store.dataset,
        "protocol": evaluation.data.protocol,
        "data_root": str(store.folder.parent.resolve()),  # the store may be a link
        "fingerprint": store.fingerprint,
        **store.preparation,
        "classes": store.class_names,
        "streams": [",".join(names) for names in evaluation.streams],
    }
    content = {"format": FORMAT, "code": dict(checkpoint.code_facts()), "facts": facts}
    for part, tensors in weights.items():
        content[part] = {name: x.detach().cpu().contiguous() for name, x in tensors.items()}
    with atomic(path) as file:
        torch.save(content, file)


def digest(module: nn.Module) -> str:
    """SHA-256 of a module's weights: their names and bytes."""
    found = hashlib.sha256()
    for name, weight in sorted(module.state_dict().items()):
        found.update(name.encode())
        found.update(weight.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def load(run: Path, device: torch.device | str = "cpu") -> Trained:
    """Load the linear layers of a run, its folder or their file, and their encoder.

    Raises UserError if there are none, or several but no recognition.pt, or another encoder's.
    """
    folder, found = (run.parent, [run]) if run.is_file() else (run, sorted(run.glob(f"{NAME}*.pt")))
    again = f"train again: `python action_classification.py --checkpoint-path {folder}`"
    if not found:
        raise UserError(f"{run} holds no linear layers; {again}")
    usual = [path for path in found if path.stem == NAME]
    if len(found) > 1 and not usual:
        raise UserError(f"{run} has several results; name one of {', '.join(map(str, found))}")
    path = (usual or found)[0]
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        facts, scale = saved["facts"], saved["scale"]
    except Exception as error:  # a damaged file raises nearly anything
        what = f"{path} holds no linear layers ({type(error).__name__})"
        raise UserError(f"{what}; {again}") from None
    source = path.parent / facts["checkpoint"]
    if not source.is_file():
        raise UserError(f"{path} needs its encoder {source}, which is missing; or {again}")
    loaded = encoders.load(source)
    encoder, streams = loaded.encoder, [tuple(text.split(",")) for text in facts["streams"]]
    if digest(encoder) != facts["encoder"]:
        raise UserError(f"{path} is of another encoder than {source}; {again}")
    if saved["encoder"]:
        encoder.load_state_dict(saved["encoder"])
    classifier = LinearClassifier(len(streams), encoder.feature_size, len(facts["classes"]))
    classifier.load_state_dict(saved["layers"])
    encoder.to(device)
    classifier.requires_grad_(False).to(device)
    scale = Scale(**{name: x.to(device) for name, x in scale.items()}) if scale else None
    loaded = loaded._replace(folder=path.parent)
    return Trained(path, loaded, classifier, streams, scale, facts)
