"""Action retrieval: nearest neighbours among the training clips.

    python action_retrieval.py --checkpoint-path checkpoints/ntu60_xsub

Each test clip takes the class of its nearest training clips, by cosine similarity of features. With
--query, the training clips that are nearest to a new recording are shown instead.
"""

import argparse
from pathlib import Path

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from data_gen.datasets.ntu import action_names
from tools import cli
from tools.evaluation import confusion, retrieved
from tools.evaluation import subject as evaluation
from tools.evaluation.neighbours import average_precision, nearest, vote
from tools.evaluation.subject import Subject

RECALLED = (1, 5)  # recall is among this many nearest clips
SHOWN = 5  # of --query, or as many as --knn-neighbours asks for


# fmt: off
def parse_args() -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    evaluation.add_arguments(parser)
    retrieval = parser.add_argument_group("retrieval")
    retrieval.add_argument("--knn-neighbours", type=cli.whole_number(1), nargs="+", default=[1],
                           metavar="K", help="how many neighbours vote; several numbers: each")
    retrieval.add_argument("--query", type=Path, metavar="FILE.skeleton",
                           help="show the training clips nearest to this recording, no more")
    return parser.parse_args()
# fmt: on


def main() -> None:
    args = parse_args()
    subject = evaluation.load_subject(args)
    if (most := max(args.knn_neighbours)) > len(subject.train):
        raise cli.UserError(f"--knn-neighbours {most} is more than {len(subject.train)} clips")
    clip = evaluation.read_recording(args.query) if args.query else None
    database = evaluation.extract_features(subject, subject.train, "encoding training clips")
    if args.query:
        query = evaluation.encode_clip(subject.encoder, clip, subject.modalities)
        show(subject, query, database, max(SHOWN, most))
        return

    # ---- neighbours of the test clips
    queries = evaluation.extract_features(subject, subject.test, "encoding test clips")
    if args.save_features:
        evaluation.save_features(args.save_features, subject, database, queries)
    classes = evaluation.labels(subject, subject.train)
    truth = evaluation.labels(subject, subject.test)
    similarity, neighbours = nearest(queries, database, min(max(most, *RECALLED), len(database)))
    found = classes[neighbours]  # (n, k), the nearest first

    # ---- results
    accuracies = {k: percent(vote(found[:, :k]) == truth) for k in args.knn_neighbours}
    precision = average_precision(queries, database, truth, classes)
    results = {
        "neighbours": args.knn_neighbours[0],
        "accuracy": accuracies[args.knn_neighbours[0]],
        "accuracies": accuracies,
        "map": 100 * precision.nanmean().item(),
        **{f"recall_at_{k}": percent((found[:, :k] == truth[:, None]).any(1)) for k in RECALLED},
    }
    name = evaluation.result_name(subject, "retrieval")
    with SummaryWriter(subject.folder / name) as writer:
        for k, accuracy in accuracies.items():
            writer.add_scalar(f"retrieval/accuracy_{k}nn", accuracy)
    path = evaluation.write_results(subject, "retrieval", name, results)
    taken = vote(found[:, : args.knn_neighbours[0]])
    matrix = confusion.confusion(subject.store.dataset, truth.cpu(), taken.cpu())
    confusion.write(matrix, path, subject.folder / name)
    rows = subject.train[neighbours.cpu().numpy()]
    table = retrieved.table(subject.store.names, subject.test, rows, similarity.cpu().numpy())
    retrieved.write(path.with_name(f"{name}_neighbours.csv"), table)
    said = ", ".join(f"{k}-NN accuracy {accuracy:.2f} %" for k, accuracy in accuracies.items())
    print(
        f"{subject.name} encoder, {subject.store.dataset} {subject.protocol}: {said}, "
        f"recall@5 {results['recall_at_5']:.2f} %, mAP {results['map']:.2f} %\nwritten to {path}\n"
        f"next: python -m tools.report {subject.folder}"
    )


def percent(right: Tensor) -> float:
    """Share of true values in percent: (n,) bool."""
    return 100 * right.sum().item() / len(right)


def show(subject: Subject, query: Tensor, database: Tensor, count: int) -> None:
    """Print the training clips nearest to a query (2H,), one a line."""
    values, indices = nearest(query[None], database, min(count, len(database)))
    names = action_names(subject.store.dataset)
    for similarity, row in zip(values[0].tolist(), subject.train[indices[0].cpu()], strict=True):
        action = int(subject.store.action[row])
        name = names[action - 1] if action <= len(names) else ""
        print(f"{similarity:.4f}  {subject.store.names[row]}  A{action:03d} {name}".rstrip())


if __name__ == "__main__":
    cli.run(main)
