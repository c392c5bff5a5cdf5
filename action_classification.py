"""Action recognition with a pre-trained encoder: linear evaluation or fine-tuning.

    python action_classification.py --checkpoint-path checkpoints/ntu60_xsub

Linear evaluation freezes the encoder, so each clip is encoded once; then one linear layer learns on
the features. Fine-tuning trains the encoder and the linear layer together. Either way with all
labels or a few, and with one stream of features or one a modality, whose scores are added.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import trange

from tools import cli
from tools.evaluation import confusion
from tools.evaluation import subject as evaluation
from tools.evaluation.learners import Learner, finetuning, linear_evaluation
from tools.evaluation.recognition import accuracy, few_labels, fraction, summary
from tools.evaluation.subject import Subject

# The published linear evaluation. Fine-tuning has the usual optimiser of transformers that were
# pre-trained (He et al., MAE, CVPR 2022; Mao et al., MAMP, ICCV 2023): AdamW with weight decay 0.05
# and a smaller rate for what was pre-trained; its rates fall in steps, as in linear evaluation.
LINEAR = {"epochs": 150, "batch_size": 512, "lr": 0.03, "schedule": [120, 140], "wd": 0.0}
FINETUNE = {"epochs": 60, "batch_size": 64, "lr": 3e-3, "encoder_lr": 3e-4, "schedule": [40, 50]}
FINETUNE |= {"wd": 0.05, "augment": "crop"}


# fmt: off
def parse_args() -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    evaluation.add_arguments(parser)
    count, index = cli.whole_number(1), cli.whole_number(0)

    mode = parser.add_argument_group("what is trained, on which labels")
    mode.add_argument("--late-fusion", action="store_true",
                      help="a linear layer for each of --modalities, their scores added")
    mode.add_argument("--finetune", action="store_true", help="train the encoder too")
    few = mode.add_mutually_exclusive_group()
    few.add_argument("--label-fraction", type=fraction, help="share of each class's labels")
    few.add_argument("--labels-per-class", type=count, help="how many labels of each class")
    mode.add_argument("--runs", type=count, default=1,
                      help="runs with seeds from --seed on; results are mean and deviation")

    def setting(flag: str, meaning: str, **kind) -> None:
        name = flag.removeprefix("--").replace("-", "_")
        values = [s[name] for s in (LINEAR, FINETUNE) if name in s]
        default = f"{values[0]}; fine-tuning: {values[-1]}" if len(values) > 1 else values[0]
        meaning = f"{meaning} ({default})"
        training.add_argument(flag, default=argparse.SUPPRESS, help=meaning, **kind)

    training = parser.add_argument_group("training")
    setting("--epochs", "times each clip is seen", type=count)
    setting("--batch-size", "clips a step, in fine-tuning at most an eighth of all", type=count)
    setting("--lr", "learning rate of the linear layer", type=cli.positive)
    setting("--encoder-lr", "of the encoder, in fine-tuning", type=cli.positive)
    setting("--schedule", "epochs, from 0, from which the rates are a tenth", type=index, nargs="*")
    setting("--wd", "weight decay", type=cli.not_negative)
    setting("--augment", "views in fine-tuning: whole clips, random crops, or the crops, shear and "
            "corruption of pre-training", choices=("none", "crop", "full"))
    training.add_argument("--test-every", type=count, default=5, help="epochs between tests")
    args = parser.parse_args()
    defaults = FINETUNE if args.finetune else LINEAR
    for name in FINETUNE.keys() - defaults.keys() & vars(args).keys():
        parser.error(f"--{name.replace('_', '-')} is for --finetune")
    if args.finetune and args.save_features:
        parser.error("--save-features is for the frozen encoder, without --finetune")
    return argparse.Namespace(**defaults | vars(args))
# fmt: on


def main() -> None:
    args = parse_args()
    subject = evaluation.load_subject(args)
    name = evaluation.result_name(subject, "recognition", *variant(args))
    runs, taken = evaluate(args, subject, subject.folder / name)

    # ---- results
    results = summary(runs)
    chosen = ("late_fusion", "finetune", "label_fraction", "labels_per_class", "seed")
    settings = FINETUNE if args.finetune else LINEAR
    flags = {flag: getattr(args, flag) for flag in (*chosen, *settings)}
    path = evaluation.write_results(subject, "recognition", name, flags | results)
    classes = np.tile(subject.store.label[subject.test], len(runs))
    found = confusion.confusion(subject.store.dataset, classes, taken.cpu())
    confusion.write(found, path, subject.folder / name)
    deviation = "" if len(runs) == 1 else f" ± {results['top1_std']:.2f} ({len(runs)} runs)"
    print(
        f"{subject.name} encoder, {subject.store.dataset} {subject.protocol}: "
        f"top-1 {results['top1']:.2f}{deviation} %, top-5 {results['top5']:.2f} % after "
        f"{args.epochs} epochs; best top-1 of {len(results['tests'])} tests "
        f"{results['best_top1']:.2f} % (epoch {results['best_epoch']})\nwritten to {path}\n"
        f"next: python -m tools.report {subject.folder}"
    )


def evaluate(args: argparse.Namespace, subject: Subject, log: Path) -> tuple[list[dict], Tensor]:
    """Encode, train and test; curves go to a folder for each run in `log`.

    Returns the runs as `recognition.summary` takes them, and the classes (runs · n,) that
    the last test of each took the n test clips for.
    """
    single = [(name,) for name in subject.modalities]
    args.streams = single if args.late_fusion else [subject.modalities]

    # ---- what is the same in all runs
    if args.finetune:
        learner = partial(finetuning, args, subject)
    else:
        features = encode(args, subject, "training"), encode(args, subject, "test")
        learner = partial(linear_evaluation, args, subject, *features)
        if args.save_features:
            flat = (part.transpose(0, 1).flatten(1) for part in features)  # (n, S·2H)
            evaluation.save_features(args.save_features, subject, *flat)

    # ---- runs
    runs, taken = [], []
    for seed in range(args.seed, args.seed + args.runs):
        torch.manual_seed(seed)
        classes = subject.store.label[subject.train]
        labelled = few_labels(classes, seed, args.label_fraction, args.labels_per_class)
        with SummaryWriter(log / f"seed{seed}") as writer:
            tests, predicted = train_and_test(args, learner(labelled, seed), writer)
        taken.append(predicted)
        runs.append({"seed": seed, "labelled_clips": len(labelled), "tests": tests})
    return runs, torch.cat(taken)


def variant(args: argparse.Namespace) -> list[str]:
    """What the results' name says of the mode."""
    share, count = args.label_fraction, args.labels_per_class
    return [
        *(["late_fusion"] if args.late_fusion else []),
        *(["finetune"] if args.finetune else []),
        *([f"{100 * share:g}pct"] if share else []),
        *([f"{count}perclass"] if count else []),
    ]


def encode(args: argparse.Namespace, subject: Subject, half: str) -> Tensor:
    """Features (S, n, 2H) of the clips of one half, for each of S streams."""
    rows = subject.train if half == "training" else subject.test
    return torch.stack(
        [
            evaluation.extract_features(subject, rows, f"{half} clips, {'+'.join(names)}", names)
            for names in args.streams
        ]
    )


def train_and_test(
    args: argparse.Namespace, learner: Learner, writer: SummaryWriter
) -> tuple[list[dict[str, float]], Tensor]:
    """Train to the last epoch with a test now and then.

    Returns the tests' results, and the classes (n,) that the last one took the test clips for.
    """
    schedule = torch.optim.lr_scheduler.MultiStepLR(learner.optimizer, args.schedule)
    tests = []
    for epoch in trange(1, args.epochs + 1, desc="training", unit="epoch", disable=None):
        for inputs, classes in learner.train(epoch - 1):
            scores = learner.model(inputs)  # (S, n, classes)
            loss = sum(F.cross_entropy(stream, classes) for stream in scores)
            learner.optimizer.zero_grad()
            loss.backward()
            learner.optimizer.step()
        schedule.step()
        if epoch % args.test_every == 0 or epoch == args.epochs:
            if not loss.isfinite():
                raise cli.UserError(f"the loss is {loss.item()} in epoch {epoch}; lower --lr")
            scores, classes = predict(learner)
            tests.append({"epoch": epoch} | accuracy(scores, classes))
            writer.add_scalar("recognition/loss", loss.item(), epoch)
            writer.add_scalar("recognition/top1", tests[-1]["top1"], epoch)
            writer.add_scalar("recognition/top5", tests[-1]["top5"], epoch)
    return tests, scores.argmax(1)


@torch.inference_mode()
def predict(learner: Learner) -> tuple[Tensor, Tensor]:
    """Scores (n, classes) of all test clips, added over the streams, and their classes (n,)."""
    parts = [(learner.model(inputs).sum(0), classes) for inputs, classes in learner.test()]
    scores, classes = zip(*parts, strict=True)
    return torch.cat(scores), torch.cat(classes)


if __name__ == "__main__":
    cli.run(main, lower="--batch-size")
