"""The linear layers that recognition trained, saved beside its result.

The file is written whole or not at all, and read without trust. It also holds what one needs to use
the layers: which encoder, which streams, the classes, the data.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from data_gen.preparing import commands
from net import MODALITIES
from net.modalities import derive
from tools.cli import UserError
from tools.evaluation import encoders
from tools.evaluation.classifiers import LinearClassifier, Recognizer
from tools.evaluation.encoders import LoadedEncoder
from tools.evaluation.standardize import Scale
from tools.formats import checkpoint, torch_files

if TYPE_CHECKING:
    from tools.evaluation.recognition import Run
    from tools.evaluation.results import Evaluation

FORMAT = "umurl linear layers 1"
NAME = "recognition"  # the result whose layers are taken if a run has several results
# The parts of the file beside `format`, and the names of its `facts`.
PARTS = ("code", "facts", "layers", "scale", "encoder")
TEXTS = ("checkpoint", "encoder", "dataset", "protocol", "data_root", "fingerprint")
LISTS = ("classes", "streams")


class Trained(NamedTuple):
    """An encoder, and the linear layers that were trained on its features.

    path: the file of the layers.
    loaded: the encoder, with the fine-tuned weights if it was fine-tuned.
    classifier: the linear layers.
    streams: the set of modalities of each linear layer.
    scale: standardizes the features; None: features as they are.
    classes: names of the K classes.
    facts: what the file says of the data, by the names in TEXTS.
    """

    path: Path
    loaded: LoadedEncoder
    classifier: LinearClassifier
    streams: list[tuple[str, ...]]
    scale: Scale | None
    classes: list[str]
    facts: dict[str, Any]

    def features(self, clips: Tensor) -> Tensor:
        """The features (S, n, D) of clips (n, 64, M, V, C), as the S linear layers read them."""
        encoder = self.loaded.encoder
        views = (derive(clips, names, encoder.layout.skeleton) for names in self.streams)
        return self.scaled(encoder(*views).unflatten(0, (len(self.streams), -1)))

    def scaled(self, features: Tensor) -> Tensor:
        """Features (S, n, D) of the encoder, standardized if the layers learned from such ones."""
        return self.scale.apply(features) if self.scale else features

    def probabilities(self, features: Tensor) -> Tensor:
        """Probabilities (n, K) of the classes for features (S, n, D).

        They are the softmax of the scores' mean over the streams.
        """
        return self.classifier(features).mean(0).softmax(1)


def write(
    path: Path,
    evaluation: "Evaluation",
    run: "Run",
    streams: list[tuple[str, ...]],
    scale: Scale | None = None,
) -> None:
    """Write the linear layers of a run of recognition; also the encoder if it was fine-tuned.

    path: the file.
    evaluation: the evaluation that the run belongs to.
    run: the run.
    streams: the set of modalities of each linear layer.
    scale: standardized the features, or None.
    Raises CheckpointError where the file cannot be written; nothing is left behind.
    """
    loaded, store = evaluation.loaded, evaluation.data.store
    tuned = isinstance(run.model, Recognizer)
    beside = loaded.source.resolve().parent == path.resolve().parent
    facts = {
        "checkpoint": loaded.source.name if beside else str(loaded.source.resolve()),
        "encoder": digest(loaded.encoder),
        "dataset": store.dataset,
        "protocol": evaluation.data.protocol,
        "data_root": str(store.folder.resolve().parent),
        "fingerprint": store.fingerprint,
        "classes": store.class_names,
        "streams": [",".join(names) for names in streams],
    }
    content = {
        "format": FORMAT,
        "code": dict(checkpoint.code_facts()),
        "facts": facts,
        "layers": _on_cpu((run.model.classifier if tuned else run.model).state_dict()),
        "scale": _on_cpu(scale._asdict()) if scale else {},
        "encoder": _on_cpu(run.model.encoder.state_dict()) if tuned else {},
    }
    checkpoint.write(path, content)


def digest(module: nn.Module) -> str:
    """SHA-256 of a module's weights: their names and bytes."""
    found = hashlib.sha256()
    for name, weight in sorted(module.state_dict().items()):
        found.update(name.encode())
        found.update(weight.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def load(run: Path, device: torch.device | str = "cpu") -> Trained:
    """Load the linear layers of a run and their encoder onto a device.

    run: the run's folder, or the file of the layers.
    Raises UserError, which names the command that makes the layers, where there are none, where
    they are damaged, or where the encoder is not the one that they were trained on.
    """
    path = find(run)
    saved, again = _read(path), f"make them again: {_command(path.parent)}"
    facts, layers = saved["facts"], saved["layers"]
    source = path.parent / facts["checkpoint"]
    if not source.is_file():
        raise UserError(f"{source}, whose linear layers {path} holds, is not there; {again}")
    loaded = encoders.load(source)
    if digest(loaded.encoder) != facts["encoder"]:
        raise UserError(f"{path} holds linear layers of another encoder than {source}; {again}")
    encoder, streams = loaded.encoder, [tuple(text.split(",")) for text in facts["streams"]]
    if saved["encoder"]:
        checkpoint.check_fits(encoder, saved["encoder"], path)
        encoder.load_state_dict(saved["encoder"])
    size = encoder.feature_size
    with torch.device("meta"):  # allocates nothing until the sizes are checked
        classifier = LinearClassifier(len(streams), size, len(facts["classes"]))
        frame = _ScaleFrame(len(streams), size) if saved["scale"] else nn.Module()
    checkpoint.check_fits(classifier, layers, path)
    checkpoint.check_fits(frame, saved["scale"], path)
    classifier.load_state_dict(layers, assign=True)
    scale = {name: part.to(device) for name, part in saved["scale"].items()}
    encoder.to(device)
    return Trained(
        path,
        loaded._replace(folder=path.parent),
        classifier.requires_grad_(False).to(device),
        streams,
        Scale(**scale) if scale else None,
        facts["classes"],
        facts,
    )


class _ScaleFrame(nn.Module):
    """The names and shapes of a `Scale`, to check a file."""

    def __init__(self, streams: int, size: int):
        super().__init__()
        for name in Scale._fields:
            self.register_buffer(name, torch.empty(streams, 1, size))


def find(run: Path) -> Path:
    """The file of linear layers of a run.

    run: the run's folder, or the file itself.
    Raises UserError where there is none, or several and none of them is of the usual evaluation.
    """
    if run.is_file():
        return run
    if not run.is_dir():
        raise UserError(f"{run} is not there; name the folder of a run")
    usual, found = run / f"{NAME}.pt", sorted(run.glob(f"{NAME}*.pt"))
    if usual in found or len(found) == 1:
        return usual if usual in found else found[0]
    if found:
        names = ", ".join(map(str, found))
        raise UserError(f"{run} holds the linear layers of several results; name one of {names}")
    raise UserError(f"{run} holds no linear layer; train one: {_command(run)}")


def _command(run: Path) -> str:
    return commands.evaluation("recognition", run)


def _on_cpu(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}


def _read(path: Path) -> dict[str, Any]:
    """Read a file of linear layers, and check the types of its parts."""
    try:
        saved = torch_files.read(path)
    except ValueError as error:
        again = f"make them again: {_command(path.parent)}"
        raise UserError(f"{path} is damaged or holds no linear layers ({error}); {again}") from None
    if not isinstance(saved, dict) or saved.get("format") != FORMAT:
        raise UserError(
            f"{path} holds no linear layers of a recognition; name its run, or {NAME}.pt in it"
        )
    if fault := _fault(saved):
        raise UserError(f"{path} is no whole file of linear layers: {fault}")
    return saved


def _fault(saved: dict[str, Any]) -> str | None:
    """What is wrong with the parts of a file; None where nothing is."""
    if lacking := [name for name in PARTS if not isinstance(saved.get(name), dict)]:
        return f"it lacks {lacking[0]!r}"
    for name in ("layers", "scale", "encoder"):
        for key, weight in saved[name].items():
            if not (isinstance(key, str) and checkpoint.is_weight(weight)):
                return f"{name!r} holds more than weights"
    facts = saved["facts"]
    if lacking := [name for name in TEXTS if not isinstance(facts.get(name), str)]:
        return f"{lacking[0]!r} is no text"
    for name in LISTS:
        texts = facts.get(name)
        if not (isinstance(texts, list) and texts and all(isinstance(t, str) for t in texts)):
            return f"{name!r} is no list of texts"
    if not all(name.isprintable() for name in facts["classes"]):
        return "'classes' has characters that cannot be printed"
    for names in (text.split(",") for text in facts["streams"]):
        if not set(names) <= set(MODALITIES) or len(set(names)) < len(names):
            return f"'streams' are not some of {', '.join(MODALITIES)}"
    if len(saved["layers"]) != 2 * len(facts["streams"]):
        return "'streams' and 'layers' disagree"
    if "deviation" in saved["scale"] and not (saved["scale"]["deviation"] > 0).all():
        return "'deviation' is not above 0"
    return None
