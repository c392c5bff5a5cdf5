"""How many times as fast as the literal version: `python -m tests.literal.speed`.

Both versions take turns on the same inputs, on one thread of the CPU. Times are medians of process
time, so other programs change them little. Nothing is asserted.
"""

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from data_gen import ntu_gendata, synthetic
from feeder.batches import TrainingBatches, resident_frames
from feeder.store import open_store
from net.encoder import Encoder
from net.losses import umurl_loss
from net.umurl import UmURL
from tests.literal import evaluation, input, model, preprocess
from tools.evaluation.features import encode, open_split
from tools.evaluation.probe import linear_evaluation

EPOCHS = 2  # of the literal linear evaluation, which encodes all clips in each of 150


def in_turns(ours: Callable, literal: Callable, rounds: int) -> tuple[float, float]:
    """The median process time, in seconds, of both."""
    ours(), literal()
    times = ([], [])
    for _ in range(rounds):
        for run, found in zip((ours, literal), times, strict=True):
            began = time.process_time()
            run()
            found.append(time.process_time() - began)
    return tuple(map(statistics.median, times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hidden-size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    device, hidden, clips = torch.device("cpu"), args.hidden_size, args.batch_size
    print(f"torch {torch.__version__}, hidden {hidden}, batch {clips}\n")
    print("| | literal, s | ours, s | ratio |\n|---|---|---|---|")

    def row(what: str, ours: Callable, literal: Callable, times: float = 1) -> None:
        mine, theirs = in_turns(ours, literal, args.rounds)
        print(f"| {what} | {times * theirs:.3g} | {mine:.3g} | {times * theirs / mine:.1f} |")

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        synthetic.write_recordings(folder / "raw", synthetic.sample_names(subjects=4, actions=8))
        flags = ["--data_path", str(folder / "raw"), "--out_folder", name, "--workers", "1"]

        def literal_protocols() -> None:
            for protocol in ("cross_subject", "cross_view"):
                preprocess.write_protocol(folder / "raw", protocol, folder / protocol)

        def prepare() -> None:
            with contextlib.redirect_stdout(io.StringIO()):
                ntu_gendata.main(["--dataset", "ntu60", *flags])

        row("raw files to both protocols of NTU-60", prepare, literal_protocols)
        store = open_store(folder, "ntu60")
        data = open_split(store, "cross_subject")
        arrays = [
            np.load(folder / f"cross_subject/{part}_data_joint.npy") for part in ("train", "val")
        ]
        rows = np.arange(clips) % len(data.train)
        frames = resident_frames(store, device)
        batches = TrainingBatches(store, data.train[rows], clips, 0, device, frames=frames)
        rng, length = np.random.default_rng(0), store.length[data.train]
        row(
            "augmented views of a batch",
            lambda: next(batches.epoch(0)).views(),
            lambda: [input.augment(arrays[0][i][:, : length[i]], rng) for i in [*rows] * 4],
        )

        ours, theirs = UmURL(hidden), model.UmURL(hidden, width=4096)
        adam, batch = model.adam(ours), next(batches.epoch(0)).views()
        literal_adam = model.adam(theirs)
        literal_batch = [view.permute(0, 4, 1, 3, 2).contiguous() for view in batch]

        def step() -> None:
            *projected, _ = ours(batch)
            adam.zero_grad()
            umurl_loss(*projected)["total"].backward()
            adam.step()

        literal_step = lambda: model.train_step(theirs, literal_adam, literal_batch)  # noqa: E731
        row("training step", step, literal_step)

        encoder, literal = Encoder(hidden).eval(), theirs.backbone.eval()
        halves = [
            input.EvaluationViews(each, store.length[rows], store.label[rows])
            for each, rows in zip(arrays, (data.train, data.test), strict=True)
        ]
        row(
            f"linear evaluation (literal: {EPOCHS} epochs × {150 // EPOCHS})",
            lambda: linear_evaluation(encode(encoder, data)),
            lambda: evaluation.linear_evaluation(literal, *halves, 60, epochs=EPOCHS),
            150 / EPOCHS,
        )


if __name__ == "__main__":
    main()
