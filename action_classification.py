"""Action recognition with a pre-trained encoder: linear evaluation or fine-tuning.

    python action_classification.py --checkpoint-path checkpoints/ntu60_xsub

Linear evaluation does not train the encoder: each clip is encoded once, and a linear layer is
trained on the features (tools/evaluation/probe.py). Fine-tuning trains the encoder and the linear
layer together. Both can use all labels or a few. With late fusion each modality has its own linear
layer, and the scores of the layers are added.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

import common
from tools.evaluation import (
    confusion,
    encoders,
    features,
    finetuning,
    flags,
    linear_layers,
    probe,
    results,
    robustness,
)
from tools.evaluation.finetuning import FINETUNE, Recognizer
from tools.evaluation.probe import LINEAR, Run, Training
from tools.evaluation.results import Evaluation
from tools.evaluation.standardize import Scale, standardized, write_scale


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    flags.add_shared(parser)

    add = parser.add_argument_group("what is trained").add_argument
    add("--late-fusion", action="store_true", help="a linear layer for each modality")
    add("--finetune", action="store_true", help="train the encoder, too")
    add("--tune", action="store_true", help="choose --lr on held-out training subjects")

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
    if not args.finetune and (args.encoder_lr or args.augment):
        parser.error("--encoder-lr and --augment are for --finetune")
    if args.finetune and (args.save_features or args.standardize or args.tune):
        parser.error("--save-features, --standardize and --tune are for the frozen encoder")
    if args.tune and args.lr is not None:
        parser.error("--tune chooses the learning rate, so leave out --lr")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    args, start = parse_args(argv), time.perf_counter()
    labels, curves = flags.labels(args), flags.curves(args)
    defaults = asdict(FINETUNE if args.finetune else LINEAR)
    given = {key: getattr(args, key) for key in defaults}
    training = Training(**{k: v if given[k] is None else given[k] for k, v in defaults.items()})

    # ---- encoder and data
    loaded = encoders.load(
        args.checkpoint_path, args.pretrained, seed=args.seed, device=encoders.best_device()
    )
    data = features.halves_for(loaded, args.data_root, args.finetune_dataset, args.protocol)
    if args.classes:
        data = features.of_classes(data, flags.classes_in(args.classes))
    robustness.check(data.store, curves)
    modalities = args.modalities or loaded.modalities
    streams = [(name,) for name in modalities] if args.late_fusion else [modalities]
    names = ("late_fusion", "finetune", "label_fraction", "labels_per_class", "classes", "tune")
    evaluation = Evaluation(
        task="recognition",
        loaded=loaded,
        data=data,
        modalities=modalities,
        settings={
            **{name: getattr(args, name) for name in names},
            **{**asdict(training), "schedule": list(training.schedule)},
            "standardize": False,  # standardized features are a second result
        },
        seed=args.seed,
        runs=args.runs,
        start=start,
    )

    # ---- fine-tuning
    if args.finetune:
        runs = [
            finetuning.finetune(
                loaded.encoder, data, streams, training, labels, seed, loaded.strengths
            )
            for seed in evaluation.seeds
        ]
        publish(evaluation, runs, streams, curves)
        return

    # ---- linear evaluation, with the features as they are and, with --standardize, standardized
    encoded = features.encode(loaded.encoder, data, streams)  # each clip once
    if args.save_features:
        features.save_features(args.save_features, encoded)
    for again in (False, True) if args.standardize else (False,):
        inputs, scale = standardized(encoded) if again else (encoded, None)
        tuned = probe.tune(inputs, training, labels, args.seed) if args.tune else None
        chosen = replace(training, lr=tuned["lr"]) if tuned else training
        runs = [probe.linear_evaluation(inputs, chosen, labels, seed) for seed in evaluation.seeds]
        settings = {**evaluation.settings, "standardize": again}
        publish(replace(evaluation, settings=settings), runs, streams, curves, scale, tuned)


def publish(
    evaluation: Evaluation,
    runs: list[Run],
    streams: list[tuple[str, ...]],
    curves: dict[str, list[float]],
    scale: Scale | None = None,
    tuned: dict | None = None,
) -> None:
    """Write and print the results of some runs.

    streams: the modalities of each linear layer.
    curves: {kind: amounts} of the curves over incomplete test clips.
    scale: how the features were standardized, if they were.
    tuned: how the learning rate was chosen, if it was.
    """
    loaded, data = evaluation.loaded, evaluation.data
    figures = probe.summary(runs)
    path = results.write(evaluation, figures | ({"tuned": tuned} if tuned else {}))
    if loaded.kind == "pretrained":  # tools.classify uses the layers of the first run
        linear_layers.write(evaluation, runs[0], streams, scale)
    if scale:
        write_scale(evaluation.file("_scale.npz"), scale)

    # ---- TensorBoard, confusion matrix
    for run in runs:
        with results.new_events(evaluation.events / f"seed{run.seed}") as writer:
            for test in run.tests:
                for name in ("loss", "top1", "top5"):
                    writer.add_scalar(f"recognition/{name}", test[name], test["epoch"])
    predicted = np.concatenate([run.predicted.cpu() for run in runs])
    classes = np.tile(data.store.label[data.test], len(runs))
    with results.new_events(evaluation.events) as writer:
        matrix = confusion.confusion(data.store.class_names, classes, predicted)
        confusion.write(evaluation, matrix, writer)

    # ---- curves over incomplete test clips
    def accuracies(load: features.Loader) -> list[float]:
        found = []
        if not isinstance(runs[0].model, Recognizer):  # the frozen encoder is the same for all runs
            what = "encoding altered test clips"
            x = features.extract_features(
                loaded.encoder, data.store, data.test, streams, what=what, load=load
            )
            y = features.classes_of(data.store, data.test, x.device)
            batches = [(scale.apply(x) if scale else x, y)]
        for run in runs:
            if isinstance(run.model, Recognizer):
                device = features.device_of(loaded.encoder)
                batches = features.labeled_clips(data.store, data.test, device, load)
            found.append(probe.accuracy(*probe.predict(run.model, batches))["top1"])
        return found

    drawn = robustness.write_curves(evaluation, curves, accuracies)

    # ---- what is printed
    deviation = "" if len(runs) == 1 else f" ± {figures['top1_std']:.2f} ({len(runs)} runs)"
    parts = ["features standardized"] if scale else []
    parts += [f"top-1 {figures['top1']:.2f}{deviation} %", f"top-5 {figures['top5']:.2f} %"]
    parts += [f"learning rate {tuned['lr']:g}, chosen on held-out training clips"] if tuned else []
    print(
        f"{loaded.kind} encoder, {data.store.title} {data.protocol}: {', '.join(parts)} after "
        f"{figures['tests'][-1]['epoch']} epochs; best top-1 of {len(figures['tests'])} tests "
        f"{figures['best_top1']:.2f} % (epoch {figures['best_epoch']})\n"
        f"written to {', '.join(map(str, [path, *drawn]))}\n"
        f"next: python -m tools.report {loaded.folder}"
    )


if __name__ == "__main__":
    common.run(main)
