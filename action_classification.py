"""Action recognition with a pre-trained encoder: linear evaluation or fine-tuning.

    python action_classification.py --checkpoint-path checkpoints/ntu60_xsub

Linear evaluation does not train the encoder: each clip is encoded once, and a linear layer is
trained on the features (tools/evaluation/probe.py). Fine-tuning trains the encoder and the linear
layer together (tools/evaluation/finetuning.py). Both can use all labels or a few. With late fusion
each modality has its own linear layer, and the scores of the layers are added.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

import common
from common import UserError
from tools.evaluation import (
    confusion,
    encoders,
    features,
    flags,
    linear_layers,
    probe,
    results,
    robustness,
)
from tools.evaluation.encoders import LoadedEncoder
from tools.evaluation.finetuning import FINETUNE, Recognizer, finetune
from tools.evaluation.probe import LINEAR, Run, Training
from tools.evaluation.results import Evaluation
from tools.evaluation.standardize import standardized


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    flags.add_shared(parser)

    add = parser.add_argument_group("what is trained").add_argument
    add("--late-fusion", action="store_true", help="a linear layer for each modality")
    add("--finetune", action="store_true", help="train the encoder, too")
    add("--tune", action="store_true", help="choose --lr on held-out training subjects")
    add("--splits", nargs="+", metavar="SPLIT", help="cross-validation: one result for each split")

    add = parser.add_argument_group("training (linear; fine-tuning)").add_argument
    add("--epochs", type=int, help="(150; 60)")
    add("--batch-size", type=int, help="clips; fine-tuning: at most an eighth of all (512; 64)")
    add("--lr", type=float, help="learning rate of the linear layers (0.03; 0.003)")
    add("--encoder-lr", type=float, help="learning rate of the encoder (-; 0.0003)")
    add("--schedule", type=int, nargs="*", help="milestones: rates x 0.1 (120 140; 40 50)")
    add("--wd", type=float, help="weight decay (0; 0.05)")
    add("--augment", choices=("none", "crop", "full"), help="views in fine-tuning (-; crop); full: "
        "as in pre-training")  # fmt: skip
    add("--test-every", type=int, help="epochs between tests (5)")

    args = parser.parse_args(argv)
    flags.check_shared(parser, args)
    for name in ("epochs", "batch_size", "test_every"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    if not args.finetune and (args.encoder_lr is not None or args.augment):
        parser.error("--encoder-lr and --augment are for --finetune")
    if args.finetune and (args.save_features or args.standardize or args.tune):
        parser.error("--save-features, --standardize and --tune are for the frozen encoder")
    if args.tune and args.lr is not None:
        parser.error("--tune chooses the learning rate, so leave out --lr")
    if args.splits and (args.protocol or args.save_features or len(set(args.splits)) < 2):
        parser.error("--splits takes two splits or more, without --protocol and --save-features")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    loaded = encoders.load(
        args.checkpoint_path, args.pretrained, seed=args.seed, device=encoders.best_device()
    )
    found = [evaluate(args, loaded, split) for split in args.splits or [args.protocol]]
    if args.splits:
        mean, deviation = statistics.fmean(found), statistics.stdev(found)
        print(f"mean of {len(found)} splits: top-1 {mean:.2f} ± {deviation:.2f} %")
    print(f"next: python -m tools.report {loaded.folder}")


def evaluate(args: argparse.Namespace, loaded: LoadedEncoder, protocol: str | None) -> float:
    """Evaluate an encoder on one split of a store; return top-1 in percent."""
    start, labels, curves = time.perf_counter(), flags.labels(args), flags.curves(args)
    defaults = asdict(FINETUNE if args.finetune else LINEAR)
    given = {key: getattr(args, key) for key in defaults}
    training = Training(**{k: v if given[k] is None else given[k] for k, v in defaults.items()})

    # ---- data
    data = features.halves_for(loaded, args.data_root, args.finetune_dataset, protocol)
    if args.classes:
        data = features.of_classes(data, flags.classes_in(args.classes))
    robustness.check(data.store, curves)
    modalities = args.modalities or loaded.modalities
    if args.late_fusion and len(modalities) < 2:
        raise UserError(f"--late-fusion has no effect on {modalities[0]} alone")
    names = ("late_fusion", "finetune", "label_fraction", "labels_per_class", "classes", "tune")
    evaluation = Evaluation(
        task="recognition",
        loaded=loaded,
        data=data,
        modalities=modalities,
        settings={
            **{name: getattr(args, name) for name in (*names, "splits")},
            **{**asdict(training), "schedule": list(training.schedule)},
        },
        seed=args.seed,
        runs=args.runs,
        start=start,
    )
    encoder, streams, seeds = loaded.encoder, evaluation.streams, evaluation.seeds

    # ---- fine-tuning
    if args.finetune:
        runs = [
            finetune(encoder, data, streams, training, labels, seed, loaded.strengths)
            for seed in seeds
        ]
        return publish(evaluation, runs, curves)["top1"]

    # ---- linear evaluation, with the features as they are and, with --standardize, standardized
    encoded, found = features.encode(encoder, data, streams), []  # each clip once
    if args.save_features:
        features.save_features(args.save_features, encoded)
    for again in (False, True) if args.standardize else (False,):
        inputs, scale = standardized(encoded) if again else (encoded, None)
        tuned = probe.tune(inputs, training, labels, args.seed) if args.tune else None
        chosen = replace(training, lr=tuned["lr"]) if tuned else training
        runs = [probe.linear_evaluation(inputs, chosen, labels, seed) for seed in seeds]
        found.append(publish(replace(evaluation, scale=scale), runs, curves, tuned)["top1"])
    return found[0]


def publish(
    evaluation: Evaluation,
    runs: list[Run],
    curves: dict[str, list[float]],
    tuned: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write and print the results of some runs; return the figures.

    curves: {kind: amounts} of the curves over incomplete test clips.
    tuned: how the learning rate was chosen, if it was.
    """
    loaded, data, events = evaluation.loaded, evaluation.data, evaluation.file("")
    figures = probe.summary(runs, data) | features.untrained(data)
    path = results.write(evaluation, figures | ({"tuned": tuned} if tuned else {}))
    if loaded.kind == "pretrained":  # tools.classify uses the layers of the first run
        linear_layers.write(evaluation, runs[0])

    # ---- TensorBoard, confusion matrix
    for run in runs:
        with results.new_events(events / f"seed{run.seed}") as writer:
            for test in run.tests:
                for name in ("loss", "top1", "top5"):
                    writer.add_scalar(f"recognition/{name}", test[name], test["epoch"])
    with results.new_events(events) as writer:
        confusion.write(evaluation, np.stack([run.predicted.cpu() for run in runs]), writer)

    # ---- curves over incomplete test clips
    def accuracies(load: features.Loader) -> list[float]:
        store, rows, device = data.store, data.test, features.device_of(loaded.encoder)
        if isinstance(runs[0].model, Recognizer):
            batches = [features.labeled_clips(store, rows, device, load) for _ in runs]
        else:  # the frozen encoder is the same in all runs
            x = features.extract_features(
                loaded.encoder, store, rows, evaluation.streams, load=load
            )
            x = evaluation.scale.apply(x) if evaluation.scale else x
            batches = [[(x, features.classes_of(store, rows, device))]] * len(runs)
        scored = (probe.predict(run.model, some) for run, some in zip(runs, batches, strict=True))
        return [probe.accuracy(*one)["top1"] for one in scored]

    drawn = robustness.write_curves(evaluation, curves, accuracies)

    # ---- what is printed
    deviation = "" if len(runs) == 1 else f" ± {figures['top1_std']:.2f} ({len(runs)} runs)"
    parts = ["features standardized"] if evaluation.scale else []
    parts += [f"top-1 {figures['top1']:.2f}{deviation} %"]
    parts += [f"mean of the classes {figures['mean_class_accuracy']:.2f} %"]
    parts += [] if figures["top5"] is None else [f"top-5 {figures['top5']:.2f} %"]
    parts += [f"learning rate {tuned['lr']:g}, chosen on held-out training clips"] if tuned else []
    print(
        f"{loaded.kind} encoder, {data.store.title} {data.protocol}: {', '.join(parts)} after "
        f"{figures['tests'][-1]['epoch']} epochs; best top-1 of {len(figures['tests'])} tests "
        f"{figures['best_top1']:.2f} % (epoch {figures['best_epoch']})"
    )
    if unseen := figures["classes_without_training"]:
        print(f"no training clip has these classes of test clips: {', '.join(unseen)}")
    print(f"written to {', '.join(map(str, [path, *drawn]))}")
    return figures


if __name__ == "__main__":
    common.run(main)
