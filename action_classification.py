"""Action recognition with a pre-trained encoder: linear evaluation or fine-tuning.

    python action_classification.py --checkpoint-path checkpoints/ntu60_xsub

Linear evaluation freezes the encoder, so each clip is encoded once; then one linear layer learns on
the features. Fine-tuning trains the encoder and the linear layer together. Either way with all
labels or a few, and with one stream of features or one a modality, whose scores are added.
"""

import argparse
import time
from collections.abc import Sequence

import numpy as np

from data_gen.preparing.commands import command
from tools import cli
from tools.evaluation import confusion, encoders, flags, results
from tools.evaluation.features import encode, halves_for, save_features
from tools.evaluation.recognition import Labels, finetune, linear_evaluation, summary
from tools.evaluation.results import Evaluation
from tools.evaluation.settings import FINETUNE, LINEAR, Training, defaults


# fmt: off
def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    flags.add_encoder_and_data(parser)
    count, index = cli.whole_number(1), cli.whole_number(0)

    mode = parser.add_argument_group("what is trained, on which labels")
    mode.add_argument("--late-fusion", action="store_true",
                      help="a linear layer for each of --modalities, their scores added")
    mode.add_argument("--finetune", action="store_true", help="train the encoder too")
    few = mode.add_mutually_exclusive_group()
    few.add_argument("--label-fraction", type=flags.fraction, help="share of each class's labels")
    few.add_argument("--labels-per-class", type=count, help="how many labels of each class")
    mode.add_argument("--runs", type=count, default=1,
                      help="runs with seeds from --seed on; results are mean and deviation")

    def setting(flag: str, meaning: str, **kind) -> None:
        name = flag.removeprefix("--").replace("-", "_")
        linear, tuned = getattr(LINEAR, name), getattr(FINETUNE, name)
        told = tuned if linear in (None, tuned) else f"{linear}; fine-tuning: {tuned}"
        training.add_argument(flag, default=argparse.SUPPRESS, help=f"{meaning} ({told})", **kind)

    training = parser.add_argument_group("training")
    setting("--epochs", "times each clip is seen", type=count)
    setting("--batch-size", "clips a step, in fine-tuning at most an eighth of all", type=count)
    setting("--lr", "learning rate of the linear layer", type=cli.positive)
    setting("--encoder-lr", "of the encoder, in fine-tuning", type=cli.positive)
    setting("--schedule", "epochs, from 0, from which the rates are a tenth", type=index, nargs="*")
    setting("--wd", "weight decay", type=cli.not_negative)
    setting("--augment", "views in fine-tuning: whole clips, random crops, or the crops, shear and "
            "corruption of pre-training", choices=("none", "crop", "full"))
    setting("--test-every", "epochs between tests", type=count)
    args = parser.parse_args(argv)
    for name in ("encoder_lr", "augment"):
        if name in args and not args.finetune:
            parser.error(f"--{name.replace('_', '-')} is for --finetune")
    if args.finetune and args.save_features:
        parser.error("--save-features is for the frozen encoder, without --finetune")
    return args
# fmt: on


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    start = time.perf_counter()
    settings = {key: getattr(args, key, value) for key, value in defaults_of(args).items()}
    training = Training(**{key: settings[key] for key in Training.__dataclass_fields__})
    labels = Labels(args.label_fraction, args.labels_per_class)
    streams = [(name,) for name in args.modalities] if args.late_fusion else [args.modalities]
    seeds = range(args.seed, args.seed + args.runs)

    # ---- encoder and data
    device = encoders.best_device()
    loaded = encoders.load(args.checkpoint_path, args.pretrained, seed=args.seed, device=device)
    data = halves_for(loaded, args.data_root, args.finetune_dataset, args.protocol)

    # ---- training
    if args.finetune:
        strengths = loaded.strengths
        runs = finetune(loaded.encoder, data, streams, training, labels, seeds, strengths)
    else:
        features = encode(loaded.encoder, data, streams)
        if args.save_features:
            save_features(args.save_features, features)
        runs = linear_evaluation(features, training, labels, seeds)

    # ---- results
    evaluation = Evaluation(
        *("recognition", loaded, data, args.modalities, settings, args.seed, args.runs)
    )
    found = summary(runs)
    path = results.write(evaluation, found, time.perf_counter() - start)
    results.write_curves(evaluation.events, runs)
    classes = np.tile(data.store.label[data.test], len(runs))
    matrix = confusion.confusion(data.store.class_names, classes, results.predicted(runs).cpu())
    with results.new_events(evaluation.events) as writer:
        confusion.write(matrix, path, writer)
    deviation = "" if len(runs) == 1 else f" ± {found['top1_std']:.2f} ({len(runs)} runs)"
    print(
        f"{loaded.kind} encoder, {data.store.title} {data.protocol}: "
        f"top-1 {found['top1']:.2f}{deviation} %, top-5 {found['top5']:.2f} % after "
        f"{training.epochs} epochs; best top-1 of {len(found['tests'])} tests "
        f"{found['best_top1']:.2f} % (epoch {found['best_epoch']})\nwritten to {path}\n"
        f"next: {command('tools.report', loaded.folder)}"
    )


def defaults_of(args: argparse.Namespace) -> dict:
    """The settings of the mode that the flags choose, as they are without further flags."""
    return defaults("recognition", finetune=args.finetune)


if __name__ == "__main__":
    cli.run(main, lower="--batch-size")
