"""Action recognition: linear evaluation of a pre-trained encoder.

    python action_classification.py --checkpoint-path checkpoints/ntu60_xsub

The encoder is frozen, so each clip is encoded once; then one linear layer learns on the features.
"""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from tqdm import trange

from tools import cli, evaluation


# fmt: off
def parse_args() -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    evaluation.add_arguments(parser)
    count, index = cli.whole_number(1), cli.whole_number(0)
    linear = parser.add_argument_group("linear evaluation")
    linear.add_argument("--epochs", type=count, default=150, help="times each feature is seen")
    linear.add_argument("--batch-size", type=count, default=512, help="features a step")
    linear.add_argument("--lr", type=cli.positive, default=0.03, help="learning rate of SGD")
    linear.add_argument("--schedule", type=index, nargs="*", default=[120, 140],
                        help="epochs, from 0, from which the learning rate is a tenth")
    linear.add_argument("--wd", type=cli.not_negative, default=0.0, help="L2 weight decay")
    linear.add_argument("--test-every", type=count, default=5, help="epochs between tests")
    return parser.parse_args()
# fmt: on


def main() -> None:
    args = parse_args()
    subject = evaluation.load_subject(args)
    features, test_features = (
        evaluation.extract_features(subject, rows, f"encoding {half} clips")
        for half, rows in (("training", subject.train), ("test", subject.test))
    )
    classes, test_classes = (
        evaluation.labels(subject, rows) for rows in (subject.train, subject.test)
    )

    # ---- training, with a test now and then
    torch.manual_seed(args.seed)
    classifier = linear_classifier(features.shape[1], subject.store.num_classes)
    classifier.to(subject.device)
    optimizer = torch.optim.SGD(classifier.parameters(), args.lr, 0.9, weight_decay=args.wd)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, args.schedule)
    tests = []
    with SummaryWriter(subject.folder / f"recognition_{subject.name}") as writer:
        for epoch in trange(1, args.epochs + 1, desc="linear layer", unit="epoch", disable=None):
            loss = train_epoch(classifier, optimizer, features, classes, args.batch_size)
            schedule.step()
            if epoch % args.test_every == 0 or epoch == args.epochs:
                tests.append(test(classifier, test_features, test_classes) | {"epoch": epoch})
                writer.add_scalar("recognition/loss", loss.item(), epoch)
                writer.add_scalar("recognition/top1", tests[-1]["top1"], epoch)
                writer.add_scalar("recognition/top5", tests[-1]["top5"], epoch)

    # ---- results
    last, best = tests[-1], max(tests, key=lambda result: result["top1"])
    path = evaluation.write_results(
        subject,
        "recognition",
        {
            "top1": last["top1"],
            "top5": last["top5"],
            "best_top1": best["top1"],
            "best_epoch": best["epoch"],
            "seed": args.seed,
            "tests": tests,
        },
    )
    print(
        f"{subject.name} encoder, {subject.store.dataset} {subject.protocol}: "
        f"top-1 {last['top1']:.2f} %, top-5 {last['top5']:.2f} % after {args.epochs} epochs; "
        f"best top-1 of {len(tests)} tests {best['top1']:.2f} % (epoch {best['epoch']})\n"
        f"written to {path}"
    )


def linear_classifier(feature_size: int, num_classes: int) -> nn.Linear:
    """The layer that is trained: weights drawn with standard deviation 0.01, bias zero."""
    layer = nn.Linear(feature_size, num_classes)
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)
    return layer


def train_epoch(
    classifier: nn.Linear,
    optimizer: torch.optim.Optimizer,
    features: Tensor,
    classes: Tensor,
    batch_size: int,
) -> Tensor:
    """One pass over features (n, 2H) with classes (n,) in random order; returns the last loss."""
    for batch in torch.randperm(len(features)).to(features.device).split(batch_size):
        loss = F.cross_entropy(classifier(features[batch]), classes[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.detach()


@torch.inference_mode()
def test(classifier: nn.Linear, features: Tensor, classes: Tensor) -> dict[str, float]:
    """Top-1 and top-5 accuracy, in percent, on features (n, 2H) with classes (n,)."""
    best = classifier(features).topk(min(5, classifier.out_features)).indices  # (n, 5)
    right = best == classes[:, None]
    return {
        "top1": 100 * right[:, 0].float().mean().item(),
        "top5": 100 * right.any(1).float().mean().item(),
    }


if __name__ == "__main__":
    cli.run(main)
