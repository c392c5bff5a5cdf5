"""Time of the input: from stored clips to the tokens that the network takes."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from feeder.batches import TrainingBatches, resident_frames, whole_clips
from net.modalities import MODALITIES, Tokens, derive
from tools.benchmark import inputs
from tools.benchmark.measure import Row, synchronize, take_turns, threads
from tools.benchmark.sizes import Size


def materialize(view: dict[str, Tokens]) -> list[Tensor]:
    """Both token sequences of each modality, contiguous, as a linear layer would make them."""
    return [sequence.contiguous() for tokens in view.values() for sequence in tokens]


def literal_tokens(model, view: np.ndarray, modality: str) -> tuple[Tensor, Tensor]:
    """Both token sequences of one modality of one view, by the literal version."""
    clip = torch.from_numpy(view)[None]
    derived = {"joint": lambda x: x, "bone": model.bone, "motion": model.motion}[modality](clip)
    return tuple(x.contiguous() for x in model.tokens(derived))


def collate(clips: list[list[tuple[Tensor, Tensor]]]) -> list[Tensor]:
    """Put the token sequences of single clips, as `literal_tokens` gives them, into a batch."""
    sequences = zip(*(sum(clip, ()) for clip in clips), strict=True)
    return [torch.cat(sequence) for sequence in sequences]


def measure(size: Size, device: torch.device, scratch: Path, data_path: Path | None) -> list[Row]:
    """Measure the input of training and of evaluation; on a CPU with one thread."""
    theirs, model = inputs.literal("input"), inputs.literal("model")
    store = inputs.random_store(scratch / "input", 2 * size.views)
    rows = np.arange(size.views)
    padded, frames = inputs.padded(store, rows)
    pretraining = theirs.PretrainingViews(padded, frames)
    evaluation = theirs.EvaluationViews(padded, frames, np.zeros(len(rows), np.int64))
    single = (*((m,) for m in MODALITIES), MODALITIES)

    def training_input(resident: bool):
        held = resident_frames(store, device) if resident else None
        batches = TrainingBatches(store, rows, size.views, 0, device, held)
        synchronize(device)

        def call():
            for batch in batches.epoch(0):
                for view, modalities in zip(batch.views(), single, strict=True):
                    materialize(derive(view, modalities))

        return call

    def literal_training_input():
        clips = []
        for i in rows:
            views = zip(pretraining[i], single, strict=True)
            clips.append([literal_tokens(model, v, m) for v, ms in views for m in ms])
        collate(clips)

    def evaluation_input():
        materialize(derive(whole_clips(store, rows, device)))

    def literal_evaluation_input():
        views = [evaluation[i][0] for i in rows]
        collate([[literal_tokens(model, view, m) for m in MODALITIES] for view in views])

    with threads(1):
        training = take_turns(
            {
                "resident": training_input(True),
                "streamed": training_input(False),
                "literal": literal_training_input,
            },
            size.repeats,
            device,
        )
        testing = take_turns(
            {"ours": evaluation_input, "literal": literal_evaluation_input}, size.repeats, device
        )
    where = "1 core" if device.type == "cpu" else device.type
    cases = [
        Row("input", f"training, {kind}, {where}", len(rows), training[kind], training["literal"])
        for kind in ("resident", "streamed")
    ]
    return [
        *cases,
        Row("input", f"evaluation, {where}", len(rows), testing["ours"], testing["literal"]),
    ]
