"""Action recognition with a pre-trained encoder: linear evaluation or fine-tuning.

    python action_classification.py --checkpoint-path checkpoints/ntu60_xsub

Linear evaluation trains one linear layer on features from the frozen encoder: SGD, momentum 0.9,
150 epochs of batches of 512, learning rate 0.03, a tenth at epochs 120 and 140. A feature is the
encoder's output, before the projectors, for a whole clip: resized to 64 frames, not augmented,
joint, bone and motion fused. The result is the test accuracy after the last epoch. With late fusion
each modality has a feature and a linear layer, and the layers' scores are added. Fine-tuning trains
a copy of the encoder, too, by AdamW.
"""

import argparse
import statistics
import time
from dataclasses import asdict, replace
from typing import Any

import numpy as np

import common
from feeder.batches import to_device
from tools.evaluation import confusion, encoders, features, flags, linear_layers, probe, results
from tools.evaluation.encoders import LoadedEncoder
from tools.evaluation.features import standardized
from tools.evaluation.probe import FINETUNE, LINEAR, Run, Training, finetune, linear_evaluation
from tools.evaluation.results import Evaluation
from tools.evaluation.robustness import write_curves


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
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
    views = "views in fine-tuning; full: as in pre-training (-; crop)"
    add("--augment", choices=("none", "crop", "full"), help=views)
    add("--test-every", type=int, help="epochs between tests (5)")

    args = parser.parse_args(argv)
    flags.check_shared(parser, args)
    for name in ("epochs", "batch_size", "test_every"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f"{common.flag(name)} must be at least 1")
    if not args.finetune and (args.encoder_lr is not None or args.augment):
        parser.error("--encoder-lr and --augment are for --finetune")
    if args.finetune and (args.save_features or args.standardize or args.tune):
        parser.error("--save-features, --standardize and --tune are for the frozen encoder")
    if args.tune and args.lr is not None:
        parser.error("--tune chooses the learning rate, so leave out --lr")
    if args.splits and (args.protocol or args.save_features or len(set(args.splits)) < 2):
        parser.error("--splits takes two splits or more, without --protocol and --save-features")
    for name, usual in asdict(FINETUNE if args.finetune else LINEAR).items():
        if getattr(args, name) is None:
            setattr(args, name, usual)
    return args


def main(argv: list[str] | None = None) -> None:
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
    """Evaluate an encoder on one train/test split of a store; return top-1 in percent."""
    start = time.perf_counter()

    # ---- data: the training and the test clips
    classes = flags.classes_in(args.classes)
    data = features.split_for(loaded, args.data_root, args.finetune_dataset, protocol, classes)
    modalities = loaded.modalities_of(args.modalities)
    if args.late_fusion and len(modalities) < 2:
        raise common.UserError(f"--late-fusion has no effect on {modalities[0]} alone")

    # ---- settings: epochs, batch size, learning rates, milestones
    training = Training(**{name: getattr(args, name) for name in asdict(LINEAR)})
    settings = {name: getattr(args, name) for name in results.defaults("recognition")}
    evaluation = Evaluation(
        "recognition", loaded, data, modalities, settings, args.seed, args.runs, start
    )
    streams, seeds = evaluation.streams, evaluation.seeds  # the modalities of each linear layer

    # ---- fine-tuning: a copy of the encoder and the linear layers
    if args.finetune:
        runs = [
            finetune(loaded.encoder, data, streams, training, args.labels, seed, loaded.strengths)
            for seed in seeds
        ]
        return publish(evaluation, runs, args.curves)

    # ---- linear evaluation: linear layers on the features of the frozen encoder
    encoded = features.encode(loaded.encoder, data, streams)  # each clip once
    if args.save_features:
        features.save_features(args.save_features, encoded)
    ways = [(encoded, None), *([standardized(encoded)] if args.standardize else [])]
    accuracies = []
    for inputs, scale in ways:
        tuned = probe.tune(inputs, training, args.labels, args.seed) if args.tune else None
        chosen = replace(training, lr=tuned["lr"]) if tuned else training
        runs = [linear_evaluation(inputs, chosen, args.labels, seed) for seed in seeds]
        accuracies.append(publish(replace(evaluation, scale=scale), runs, args.curves, tuned))
    return accuracies[0]


def publish(
    evaluation: Evaluation, runs: list[Run], curves: dict, tuned: dict[str, Any] | None = None
) -> float:
    """Write and print the results of some runs; return top-1 in percent."""
    loaded, data, scale = evaluation.loaded, evaluation.data, evaluation.scale
    figures = probe.summary(runs, data) | ({"tuned": tuned} if tuned else {})
    path = results.write(evaluation, figures)
    if loaded.kind == "pretrained":  # tools.classify uses the layers of the first run
        linear_layers.write(evaluation, runs[0])

    # ---- TensorBoard, confusion matrix
    shown = ("loss", "top1") if figures["top5"] is None else ("loss", "top1", "top5")
    for run in runs:
        with results.new_events(evaluation.file("") / f"seed{run.seed}") as writer:
            for test in run.tests:
                for name in shown:
                    writer.add_scalar(f"recognition/{name}", test[name], test["epoch"])
    with results.new_events(evaluation.file("")) as writer:
        confusion.write(evaluation, np.stack([run.predicted.cpu() for run in runs]), writer)

    # ---- curves over incomplete test clips
    def accuracies(load: features.Loader) -> list[float]:
        rows, device = data.test, features.device_of(loaded.encoder)
        if evaluation.settings["finetune"]:
            found = [features.clips_and_classes(data.store, rows, device, load) for _ in runs]
        else:  # the frozen encoder is the same in all runs
            x = features.extract_features(
                loaded.encoder, data.store, rows, evaluation.streams, load=load
            )
            x = scale.apply(x) if scale else x
            found = [[(x, to_device(data.store.label[rows], device))]] * len(runs)
        scored = (probe.predict(run.model, some) for run, some in zip(runs, found, strict=True))
        return [probe.accuracy(*one)["top1"] for one in scored]

    drawn = write_curves(evaluation, curves, accuracies)

    # ---- what is printed
    deviation = "" if len(runs) == 1 else f" ± {figures['top1_std']:.2f} ({len(runs)} runs)"
    parts = [f"top-1 {figures['top1']:.2f}{deviation} %"]
    parts += [f"mean class accuracy {figures['mean_class_accuracy']:.2f} %"]
    parts += [] if figures["top5"] is None else [f"top-5 {figures['top5']:.2f} %"]
    parts += [f"learning rate {tuned['lr']:g}, chosen on held-out subjects"] if tuned else []
    tests, best = figures["tests"], f"{figures['best_top1']:.2f} %"
    best += f" (epoch {figures['best_epoch']})" if len(runs) == 1 else ""
    after = f"after {tests[-1]['epoch']} epochs; best top-1 of {len(tests)} tests {best}"
    results.print_result(evaluation, f"{', '.join(parts)} {after}", [path, *drawn])
    return figures["top1"]


if __name__ == "__main__":
    common.run(main)
