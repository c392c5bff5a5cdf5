"""Action recognition with a pre-trained encoder: linear evaluation or fine-tuning.

    python action_classification.py --checkpoint-path checkpoints/ntu60_xsub

Linear evaluation does not train the encoder: each clip is encoded once, and a linear layer is
trained on the features. Fine-tuning trains the encoder and the linear layer together. Both can use
all labels or a few. With late fusion each modality has its own linear layer, and the scores of the
layers are added.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from data_gen.preparing.commands import command
from tools import cli
from tools.evaluation import flags
from tools.evaluation.settings import FINETUNE, LINEAR, Training, defaults

if TYPE_CHECKING:  # these modules import torch, which is slow
    from tools.evaluation.recognition import Run
    from tools.evaluation.results import Evaluation
    from tools.evaluation.standardize import Scale
    from tools.evaluation.tuning import Tuned


# fmt: off
def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    flags.add_encoder_and_data(parser)
    count, index = cli.whole_number(1), cli.whole_number(0)

    mode = parser.add_argument_group("what is trained")
    mode.add_argument("--late-fusion", action="store_true",
                      help="a linear layer for each of --modalities, their scores added")
    mode.add_argument("--finetune", action="store_true", help="train the encoder too")
    mode.add_argument("--tune", action="store_true",
                      help="choose the linear layer's learning rate on held-out training subjects")
    flags.add_reading(parser)

    def setting(flag: str, meaning: str, **kind) -> None:
        name = flag.removeprefix("--").replace("-", "_")
        linear, tuned = getattr(LINEAR, name), getattr(FINETUNE, name)
        default = tuned if linear in (None, tuned) else f"{linear}; fine-tuning: {tuned}"
        kind |= {"default": argparse.SUPPRESS, "help": f"{meaning} ({default})"}
        training.add_argument(flag, **kind)

    training = parser.add_argument_group("training")
    setting("--epochs", "number of epochs", type=count)
    setting("--batch-size", "clips in a step; fine-tuning: at most an eighth of all", type=count)
    setting("--lr", "learning rate of the linear layer", type=cli.positive)
    setting("--encoder-lr", "learning rate of the encoder, in fine-tuning", type=cli.positive)
    setting("--schedule", "epochs, from 0, at which the learning rates fall to a tenth",
            type=index, nargs="*")
    setting("--wd", "weight decay", type=cli.not_negative)
    setting("--augment", "views in fine-tuning: whole clips, random crops, or the crops, shear and "
            "corruption of pre-training", choices=("none", "crop", "full"))
    setting("--test-every", "epochs between tests", type=count)
    args = parser.parse_args(argv)
    for name in ("encoder_lr", "augment"):
        if name in args and not args.finetune:
            parser.error(f"--{name.replace('_', '-')} is for --finetune")
    for name in ("save_features", "standardize", "tune"):
        if args.finetune and getattr(args, name):
            flag = f"--{name.replace('_', '-')}"
            parser.error(f"{flag} is for the frozen encoder, without --finetune")
    if args.tune and "lr" in args:
        parser.error("--tune chooses the learning rate, so leave out --lr")
    return args
# fmt: on


def main(argv: Sequence[str] | None = None) -> None:
    """Run the evaluation that the flags ask for; write and print its results."""
    args = parse_args(argv)
    from tools.evaluation import altered_clips, encoders, features, recognition, standardize, tuning
    from tools.evaluation.labels import Labels
    from tools.evaluation.results import Evaluation

    start = time.perf_counter()
    default = defaults("recognition", finetune=args.finetune)
    settings = {key: getattr(args, key, value) for key, value in default.items()}
    settings["standardize"] = False  # standardized features are a second result
    training = Training(**{key: settings[key] for key in Training.__dataclass_fields__})
    labels = Labels(args.label_fraction, args.labels_per_class)
    seeds = range(args.seed, args.seed + args.runs)
    curves = flags.curves(args)

    # ---- encoder and data
    device = encoders.best_device()
    loaded = encoders.load(args.checkpoint_path, args.pretrained, seed=args.seed, device=device)
    data = features.halves_for(loaded, args.data_root, args.finetune_dataset, args.protocol)
    data = features.of_classes(data, flags.classes_in(args.classes)) if args.classes else data
    altered_clips.check(data.store, curves)
    names = args.modalities or loaded.modalities
    streams = [(name,) for name in names] if args.late_fusion else [names]
    evaluation = Evaluation(
        *("recognition", loaded, data, names, settings, args.seed, args.runs), start
    )

    # ---- fine-tuning
    if args.finetune:
        runs = recognition.finetune(
            *(loaded.encoder, data, streams, training, labels, seeds), loaded.strengths
        )
        publish(evaluation, runs, streams, curves)
        return

    # ---- linear evaluation, with the features as they are and, with --standardize, standardized
    encoded = features.encode(loaded.encoder, data, streams)
    if args.save_features:
        features.save_features(args.save_features, encoded)
    inputs = [(encoded, None)]
    if args.standardize:
        inputs.append(standardize.standardized(encoded))
    for encoded, scale in inputs:
        tuned = tuning.tune(encoded, training, labels, args.seed) if args.tune else None
        chosen = replace(training, lr=tuned.lr) if tuned else training
        runs = recognition.linear_evaluation(encoded, chosen, labels, seeds)
        named = evaluation._replace(settings=settings | {"standardize": scale is not None})
        publish(named, runs, streams, curves, scale, tuned)


def publish(
    evaluation: "Evaluation",
    runs: "list[Run]",
    streams: list[tuple[str, ...]],
    curves: dict[str, list[float]],
    scale: "Scale | None" = None,
    tuned: "Tuned | None" = None,
) -> None:
    """Write and print the results of some runs.

    evaluation: the encoder, the data and the settings
    runs: one run for each seed
    streams: the modalities of each linear layer
    curves: {kind: amounts} of the curves over altered test clips
    scale: how the features were standardized, if they were
    tuned: how the learning rate was chosen, if it was tuned
    """
    from tools.evaluation import confusion, results, robustness, saved_layers, standardize
    from tools.evaluation.recognition import summary

    loaded, data, events = evaluation.loaded, evaluation.data, evaluation.events
    figures = summary(runs)
    path = results.write(evaluation, figures | ({"tuned": tuned._asdict()} if tuned else {}))
    if loaded.kind == "pretrained":  # tools.classify uses the layers of the first run
        saved_layers.write(path.with_suffix(".pt"), evaluation, runs[0], streams, scale)
    results.write_curves(events, runs)
    predicted = results.predicted(runs).cpu()
    classes = [*data.store.label[data.test]] * len(runs)
    matrix = confusion.confusion(data.store.class_names, classes, predicted)
    with results.new_events(events) as writer:
        confusion.write(matrix, path, writer)
    if scale:
        standardize.write(path.with_name(f"{path.stem}_scale.npz"), scale)
    accuracies = robustness.of_recognition(loaded.encoder, data, streams, runs, scale)
    drawn = [
        robustness.write(robustness.curve(kind, amounts, accuracies), path)
        for kind, amounts in curves.items()
    ]

    deviation = "" if len(runs) == 1 else f" ± {figures['top1_std']:.2f} ({len(runs)} runs)"
    parts = ["features standardized"] if scale else []
    parts += [f"top-1 {figures['top1']:.2f}{deviation} %", f"top-5 {figures['top5']:.2f} %"]
    parts += [f"learning rate {tuned.lr:g}, chosen on held-out training clips"] if tuned else []
    print(
        f"{loaded.kind} encoder, {data.store.title} {data.protocol}: {', '.join(parts)} after "
        f"{figures['tests'][-1]['epoch']} epochs; best top-1 of {len(figures['tests'])} tests "
        f"{figures['best_top1']:.2f} % (epoch {figures['best_epoch']})\n"
        f"written to {', '.join(map(str, [path, *drawn]))}\n"
        f"next: {command('tools.report', loaded.folder)}"
    )


if __name__ == "__main__":
    cli.run(main, lower="--batch-size")
